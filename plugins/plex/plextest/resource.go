package plextest

// resources lists the media servers that an account may reach, each with the
// token that works there. An invite that was not accepted is not among them.
func (c *call) resources() reply {
	if c.clientID() == "" {
		return clientIDMissing()
	}
	var out []*element
	for _, s := range c.f.servers {
		if s.spec.Unclaimed {
			continue
		}
		if s.spec.Owner == c.who.ID {
			out = append(out, c.f.resource(s, c.who, s.ownerToken, nil))
			continue
		}
		if sh := c.f.acceptedShare(s, c.who.ID); sh != nil {
			out = append(out, c.f.resource(s, c.who, sh.AccessToken, c.f.account(s.spec.Owner)))
		}
	}
	return array("resources", out)
}

func (f *Fake) resource(s *Server, viewer *Account, accessToken string, owner *Account) *element {
	var ownerID, sourceTitle any
	if owner != nil {
		ownerID, sourceTitle = owner.ID, owner.Title
	}
	host, port := s.host()
	connection := func(local bool) *element {
		return el("connection", at("protocol", "http"), at("address", host), at("port", port), at("uri", s.url),
			at("local", local), at("relay", false), at("IPv6", false))
	}
	return el("resource",
		at("name", s.spec.Name), at("product", "Plex Media Server"), at("productVersion", s.spec.Version),
		at("platform", "Linux"), at("platformVersion", "6.12"), at("device", "Docker Container"),
		at("clientIdentifier", s.spec.MachineIdentifier), at("createdAt", iso(s.createdAt)), at("lastSeenAt", iso(f.now())),
		at("provides", "server"), at("ownerId", ownerID), at("sourceTitle", sourceTitle), at("publicAddress", "203.0.113.1"),
		at("accessToken", accessToken), at("owned", owner == nil), at("home", owner != nil && f.sameHome(owner.ID, viewer.ID)),
		at("synced", false), at("relay", false), at("presence", true), at("httpsRequired", false),
		at("publicAddressMatches", true), at("dnsRebindingProtection", false), at("natLoopbackSupported", true),
	).list("connections", connection(true), connection(false))
}
