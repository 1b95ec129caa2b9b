package redeem

import (
	"cmp"
	"slices"

	"github.com/google/uuid"

	"github.com/zondarr/zondarr/host/internal/fault"
	"github.com/zondarr/zondarr/host/internal/grant"
	"github.com/zondarr/zondarr/host/internal/identity"
	"github.com/zondarr/zondarr/host/internal/invitation"
	"github.com/zondarr/zondarr/sdk"
)

// plan is an offer with what its servers can do: everything that a redemption
// does, before anything is known of the invitee.
type plan struct {
	offer   invitation.Offer
	targets []planned
}

// planned is one server of a plan.
type planned struct {
	offer       invitation.Target
	description sdk.Description
	// described is false when no plugin, running or not, knows the type.
	described bool
	abilities grant.Abilities
}

// live says that the server takes part: a disabled one is skipped.
func (t planned) live() bool { return t.offer.Enabled }

func (s *Service) plan(offer invitation.Offer) plan {
	p := plan{offer: offer, targets: make([]planned, len(offer.Targets))}
	for i, o := range offer.Targets {
		desc, err := s.Clients.Describe(o.Type)
		p.targets[i] = planned{offer: o, description: desc, described: err == nil, abilities: grant.AbilitiesOf(desc, o.Facts)}
	}
	return p
}

// realms gives the realms of linked accounts that are needed, in the order of
// their first server.
func (p plan) realms() []string {
	var out []string
	seen := map[string]bool{}
	for _, t := range p.targets {
		if realm := t.realm(); t.live() && realm != "" && !seen[realm] {
			seen[realm] = true
			out = append(out, realm)
		}
	}
	return out
}

// asksName says that the invitee chooses a name, for one server at least.
func (p plan) asksName() bool {
	return slices.ContainsFunc(p.targets, func(t planned) bool { return t.live() && t.realm() == "" })
}

// realm is where the account lives that the server wants, or "".
func (t planned) realm() string {
	if t.abilities.JoinFlow != sdk.JoinLinkedAccount {
		return ""
	}
	return t.description.Realm
}

// labelOf names a realm for people.
func (p plan) labelOf(realm string) string {
	label := realm
	for _, t := range p.targets {
		if t.realm() == realm {
			label = cmp.Or(t.description.RealmLabel, label)
		}
	}
	return label
}

// possible refuses what no request could redeem: a library that vanished, a
// server that cannot make accounts (any more), a type that nobody knows.
func (p plan) possible() error {
	for _, t := range p.targets {
		if !t.live() {
			continue
		}
		var e *fault.Error
		switch {
		case !t.described:
			e = fault.New(fault.Unavailable, fault.CodePluginUnavailable, "%s cannot be reached at the moment. Nothing was created, and the invitation is still good. Try again later.", t.offer.Name)
			e.Retryable, e.Plugin = true, t.offer.Type
		case t.offer.LibraryGone():
			e = fault.New(fault.Conflict, fault.CodeLibraryGone, "What this invitation gives access to is no longer on %s. Ask whoever invited you.", t.offer.Name)
		case !t.abilities.Has(sdk.CapProvision), t.abilities.JoinFlow == sdk.JoinNone:
			e = fault.New(fault.Conflict, fault.CodeCapabilityUnsupported, "%s takes no new accounts. Ask whoever invited you.", t.offer.Name)
			e.Detail = t.abilities.Why(string(sdk.CapProvision))
		case !t.abilities.CanGive(t.offer.Grant.Access):
			e = fault.New(fault.Conflict, fault.CodeCapabilityUnsupported, "%s cannot give the access that this invitation promises. Ask whoever invited you.", t.offer.Name)
			e.Detail = t.abilities.Why(string(t.offer.Grant.Access))
		default:
			continue
		}
		e.Server = &fault.Server{ID: t.offer.ServerID.String(), Name: t.offer.Name}
		return e
	}
	return nil
}

// part is one server's part of a redemption in the memory of the host that was
// asked: the step as it is stored, and what is stored nowhere.
type part struct {
	step      Step
	planned   planned
	asked     sdk.Grant
	link      *sdk.LinkedAccount
	account   sdk.User // what the server said after the create
	failure   *Failure
	created   bool // an account exists, by its recorded id
	ambiguous bool // an account may exist
	claim     *string
}

// parts gives a part for each server of the plan.
func (p plan) parts(req Request, links map[string]link) []*part {
	out := make([]*part, len(p.targets))
	for i, t := range p.targets {
		external := map[uuid.UUID]string{}
		libraries := map[string]string{}
		for _, l := range t.offer.Libraries {
			if !l.Missing {
				external[l.ID] = l.ExternalID
				libraries[l.ExternalID] = l.ID.String()
			}
		}
		j := &part{planned: t, asked: t.offer.Grant.ForPlugin(t.abilities, external)}
		j.step = Step{
			id: uuid.Must(uuid.NewV7()), operationID: uuid.New(), ServerID: &t.offer.ServerID, ServerName: t.offer.Name, ServerType: t.offer.Type,
			State: StepPending, grant: t.offer.Grant, libraries: libraries, noticed: t.description.Traits.CreationNoticed, position: i,
		}
		switch realm := t.realm(); {
		case !t.live():
			j.step.State = StepSkipped
			j.step.Error = &Failure{
				ErrorCode: fault.CodeServerDisabled, Message: t.offer.Name + " is switched off at the moment; you have no account there.",
				Detail: "the server is disabled",
			}
		case realm != "":
			l := links[realm]
			j.step.Username, j.step.linkedAccountID, j.step.linkID = l.accountName, &l.accountID, &l.id
			j.claim = new(accountClaim(realm, l.accountID))
			j.link = &sdk.LinkedAccount{
				Realm: realm, ID: l.accountID, Username: l.accountName, Email: l.accountEmail, State: l.state,
			}
		default:
			j.step.Username = req.Username
			j.claim = new(identity.Fold(req.Username))
		}
		out[i] = j
	}
	return out
}

// accountClaim is what a step of a linked account holds on its server in place
// of a username, which the server chooses: the account. The separator is in no
// username.
func accountClaim(realm, accountID string) string { return "\x1f" + realm + "\x1f" + accountID }

// differs says how the account that was made differs from what was asked for.
func (j *part) differs() string {
	return grant.Differs(j.asked, j.account, j.planned.description, j.planned.abilities)
}
