package plextest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

func strictDecode(body []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	return dec.Decode(v)
}

func (f *Fake) ctlOverview(*controlCall) (any, error) {
	return map[string]any{
		"cloud_url": f.CloudURL(), "auth_url": f.AuthURL(), "control_url": f.ControlURL(),
		"now": f.Now(), "servers": f.ctlServers(), "pins": orEmpty(f.Pins()),
	}, nil
}

func (f *Fake) ctlAdvance(c *controlCall) (any, error) {
	var in struct {
		Duration time.Duration `json:"duration"`
	}
	if err := c.read(&in); err != nil {
		return nil, err
	}
	f.Advance(in.Duration)
	return map[string]any{"now": f.Now()}, nil
}

func (f *Fake) ctlSwitches(c *controlCall) (any, error) {
	s := f.Switches()
	if err := c.read(&s); err != nil {
		return nil, err
	}
	f.Set(func(present *Switches) { *present = s })
	return s, nil
}

// someone finds an account by id, username or e-mail.
func (f *Fake) someone(key string) (Account, error) {
	a, found := f.Account(key)
	if !found {
		return Account{}, fmt.Errorf("%w: %s", ErrNoAccount, key)
	}
	return a, nil
}

func (f *Fake) ctlAddAccount(c *controlCall) (any, error) {
	var a Account
	if err := c.read(&a); err != nil {
		return nil, err
	}
	return f.AddAccount(a)
}

func (f *Fake) ctlEditAccount(c *controlCall) (any, error) {
	a, err := f.someone(c.r.PathValue("key"))
	if err != nil {
		return nil, err
	}
	edited := a
	if err := c.read(&edited); err != nil {
		return nil, err
	}
	f.Edit(a.ID, func(present *Account) { edited.PIN = present.PIN; *present = edited })
	return edited, nil
}

func (f *Fake) ctlToken(c *controlCall) (any, error) {
	a, err := f.someone(c.r.PathValue("key"))
	if err != nil {
		return nil, err
	}
	var in struct {
		ClientID string `json:"client_id"`
		JWT      bool   `json:"jwt"`
	}
	if err := c.read(&in); err != nil {
		return nil, err
	}
	if in.JWT {
		return map[string]string{"token": f.JWT(a.ID, in.ClientID)}, nil
	}
	return map[string]string{"token": f.Token(a.ID, in.ClientID)}, nil
}

func (f *Fake) ctlSignOut(c *controlCall) (any, error) {
	a, err := f.someone(c.r.PathValue("key"))
	if err == nil {
		f.SignOutEverywhere(a.ID)
	}
	return nil, err
}

func (f *Fake) ctlFriends(c *controlCall) (any, error) {
	var in struct {
		A string `json:"a"`
		B string `json:"b"`
	}
	if err := c.read(&in); err != nil {
		return nil, err
	}
	a, err := f.someone(in.A)
	if err != nil {
		return nil, err
	}
	b, err := f.someone(in.B)
	if err == nil {
		f.Befriend(a.ID, b.ID)
	}
	return nil, err
}

// ctlMember reads the home of the path and the account of the body.
func (f *Fake) ctlMember(c *controlCall) (admin, member Account, err error) {
	if admin, err = f.someone(c.r.PathValue("key")); err != nil {
		return Account{}, Account{}, err
	}
	var in struct {
		Account string `json:"account"`
	}
	if err = c.read(&in); err != nil {
		return Account{}, Account{}, err
	}
	member, err = f.someone(in.Account)
	return admin, member, err
}

func (f *Fake) ctlHomeMember(c *controlCall) (any, error) {
	admin, member, err := f.ctlMember(c)
	if err == nil {
		f.AddHome(admin.ID, member.ID)
	}
	return nil, err
}

func (f *Fake) ctlAcceptHome(c *controlCall) (any, error) {
	admin, member, err := f.ctlMember(c)
	if err != nil {
		return nil, err
	}
	return c.done(f.AcceptHome(admin.ID, member.ID))
}

func (f *Fake) ctlManaged(c *controlCall) (any, error) {
	admin, err := f.someone(c.r.PathValue("key"))
	if err != nil {
		return nil, err
	}
	var in struct {
		Title string `json:"title"`
	}
	if err := c.read(&in); err != nil {
		return nil, err
	}
	return f.AddManagedUser(admin.ID, in.Title), nil
}

func (f *Fake) ctlApprove(c *controlCall) (any, error) {
	var in struct {
		Account string `json:"account"`
	}
	if err := c.read(&in); err != nil {
		return nil, err
	}
	a, err := f.someone(in.Account)
	if err != nil {
		return nil, err
	}
	return nil, f.Approve(c.r.PathValue("code"), a.ID)
}

// ctlServer is a media server as the control API shows it.
type ctlServer struct {
	ServerSpec
	URL       string `json:"url"`
	OwnerName string `json:"owner_name,omitempty"`
}

func (f *Fake) ctlServers() []ctlServer {
	out := []ctlServer{}
	for _, s := range f.Servers() {
		out = append(out, ctlServer{ServerSpec: s.Spec(), URL: s.URL()})
	}
	return out
}

func (f *Fake) ctlAddServer(c *controlCall) (any, error) {
	var in ctlServer
	if err := c.read(&in); err != nil {
		return nil, err
	}
	if in.OwnerName != "" {
		a, err := f.someone(in.OwnerName)
		if err != nil {
			return nil, err
		}
		in.Owner = a.ID
	}
	s, err := f.AddServer(in.ServerSpec)
	if err != nil {
		return nil, err
	}
	return ctlServer{ServerSpec: s.Spec(), URL: s.URL()}, nil
}

func (f *Fake) ctlPath(c *controlCall) (*Server, error) {
	if s := f.Server(c.r.PathValue("mid")); s != nil {
		return s, nil
	}
	return nil, errNoSuch
}

func (f *Fake) ctlEditServer(c *controlCall) (any, error) {
	s, err := f.ctlPath(c)
	if err != nil {
		return nil, err
	}
	edited := s.Spec()
	if err := c.read(&edited); err != nil {
		return nil, err
	}
	s.Change(func(present *ServerSpec) { *present = edited })
	return s.Spec(), nil
}

func (f *Fake) ctlAddSection(c *controlCall) (any, error) {
	s, err := f.ctlPath(c)
	if err != nil {
		return nil, err
	}
	var section Section
	if err := c.read(&section); err != nil {
		return nil, err
	}
	return s.AddSection(section), nil
}

func (f *Fake) ctlRemoveSection(c *controlCall) (any, error) {
	s, err := f.ctlPath(c)
	if err == nil {
		s.RemoveSection(c.id())
	}
	return nil, err
}

func (f *Fake) ctlIdentity(c *controlCall) (any, error) {
	s, err := f.ctlPath(c)
	if err != nil {
		return nil, err
	}
	var in struct {
		MachineIdentifier string `json:"machine_identifier"`
	}
	if err := c.read(&in); err != nil {
		return nil, err
	}
	s.SetIdentity(in.MachineIdentifier)
	return nil, nil
}

func (f *Fake) ctlAddSession(c *controlCall) (any, error) {
	s, err := f.ctlPath(c)
	if err != nil {
		return nil, err
	}
	var session Session
	if err := c.read(&session); err != nil {
		return nil, err
	}
	return s.AddSession(session), nil
}

func (f *Fake) ctlAccess(c *controlCall) (any, error) {
	s, err := f.ctlPath(c)
	if err != nil {
		return nil, err
	}
	a, err := f.someone(c.r.PathValue("key"))
	if err != nil {
		return nil, err
	}
	libraries, access := f.Access(s.ID(), a.ID)
	return map[string]any{"access": access, "libraries": orEmpty(libraries)}, nil
}

// ctlShares lists the live shares; ?all=1 adds the deleted ones.
func (f *Fake) ctlShares(c *controlCall) (any, error) {
	if truth(c.r.URL.Query().Get("all")) {
		return f.Shares(), nil
	}
	return f.LiveShares(), nil
}

func (f *Fake) ctlAddShare(c *controlCall) (any, error) {
	var in ShareSpec
	if err := c.read(&in); err != nil {
		return nil, err
	}
	return f.AddShare(in)
}

func (f *Fake) ctlAddFault(c *controlCall) (any, error) {
	var in Fault
	if err := c.read(&in); err != nil {
		return nil, err
	}
	if !in.Kind.known() {
		return nil, fmt.Errorf("plextest: no fault kind %q", in.Kind)
	}
	in.ID = f.AddFault(in)
	return in, nil
}

// ctlRequests is the log; ?target=, ?method= and ?path= (a prefix) narrow it.
func (f *Fake) ctlRequests(c *controlCall) (any, error) {
	q := c.r.URL.Query()
	out := []Request{}
	for _, r := range f.Requests() {
		if (q.Get("target") == "" || q.Get("target") == r.Target) &&
			(q.Get("method") == "" || strings.EqualFold(q.Get("method"), r.Method)) && strings.HasPrefix(r.Path, q.Get("path")) {
			out = append(out, r)
		}
	}
	return out, nil
}
