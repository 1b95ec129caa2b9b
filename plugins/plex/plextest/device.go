package plextest

import (
	"cmp"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// device is an entry of "Authorized Devices". It outlives a sign-out.
type device struct {
	id        int64
	clientID  string
	account   int64
	product   string
	createdAt time.Time
	appearsAt time.Time
}

// Device is a device entry of an account, as an inspection shows it.
type Device struct {
	ID       int64  `json:"id"`
	ClientID string `json:"client_id"`
	Account  int64  `json:"account"`
	Product  string `json:"product"`
}

// Devices lists the device entries, also those that do not show yet.
func (f *Fake) Devices() []Device {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := make([]Device, len(f.devices))
	for i, d := range f.devices {
		out[i] = Device{ID: d.id, ClientID: d.clientID, Account: d.account, Product: d.product}
	}
	return out
}

func (f *Fake) registerDevice(account int64, clientID, product string) {
	for _, d := range f.devices {
		if d.account == account && d.clientID == clientID {
			return
		}
	}
	f.devices = append(f.devices, &device{
		id: f.random.id(9), clientID: clientID, account: account, product: product,
		createdAt: f.now(), appearsAt: f.now().Add(f.switches.DeviceDelay),
	})
}

func (c *call) devicesXML() reply {
	root := el("MediaContainer", at("publicAddress", "203.0.113.1"))
	for _, d := range c.f.devices {
		if d.account == c.who.ID && !c.f.now().Before(d.appearsAt) {
			root.inline("Device", c.f.deviceElement(d))
		}
	}
	return okXML(root)
}

func (f *Fake) deviceElement(d *device) *element {
	var value string
	for _, t := range f.tokens {
		if t.Account == d.account && t.ClientID == d.clientID && f.check(t) == tokenLive {
			value = t.Value
		}
	}
	return el("Device",
		at("name", cmp.Or(d.product, d.clientID)), at("publicAddress", "203.0.113.1"), at("product", d.product),
		at("productVersion", ""), at("platform", ""), at("platformVersion", ""), at("device", ""), at("model", ""),
		at("vendor", ""), at("provides", ""), at("clientIdentifier", d.clientID), at("version", ""), at("id", d.id),
		at("token", value), at("createdAt", epoch(d.createdAt)), at("lastSeenAt", epoch(f.now())),
		at("screenResolution", ""), at("screenDensity", ""))
}

// deleteDevice removes the entry and the tokens behind it.
func (c *call) deleteDevice() reply {
	id := strings.TrimSuffix(c.r.PathValue("file"), ".xml")
	for i, d := range c.f.devices {
		if d.account == c.who.ID && fmt.Sprint(d.id) == id && !c.f.now().Before(d.appearsAt) {
			c.f.revoke(d.account, d.clientID, true)
			c.f.devices = append(c.f.devices[:i:i], c.f.devices[i+1:]...)
			return reply{status: http.StatusOK, forms: asIs}
		}
	}
	return notFoundV1()
}
