package api

import (
	"context"
	"time"

	"github.com/zondarr/zondarr/host/internal/database"
	"github.com/zondarr/zondarr/host/internal/pluginhost"
)

// Plugin is a plugin as it stands.
type Plugin struct {
	Name            string              `json:"name" doc:"The file name after zondarr-plugin-."`
	Version         string              `json:"version" doc:"Empty before it ever ran."`
	SDKVersion      string              `json:"sdk_version"`
	ProtocolVersion int                 `json:"protocol_version"`
	ServerType      *string             `json:"server_type" doc:"null before it ever ran."`
	Origin          string              `json:"origin" doc:"installation, directory, or store: its file is gone."`
	FileName        string              `json:"file_name"`
	SHA256          string              `json:"sha256"`
	SizeBytes       int64               `json:"size_bytes"`
	Build           Null[PluginBuild]   `json:"build" doc:"What a Go binary says of itself, read without running it."`
	State           string              `json:"state" doc:"awaiting_approval, verifying, starting, ready, backing_off, draining, stopped, disabled or failed."`
	StateSince      time.Time           `json:"state_since"`
	ErrorCode       *string             `json:"error_code"`
	Message         *string             `json:"message"`
	PID             *int                `json:"pid"`
	StartedAt       *time.Time          `json:"started_at"`
	Restarts        int                 `json:"restarts"`
	MemoryBytes     *int64              `json:"memory_bytes"`
	CrashLooping    bool                `json:"crash_looping"`
	LastCrash       Null[PluginCrash]   `json:"last_crash"`
	Pending         Null[PluginPending] `json:"pending" doc:"A changed file that waits for approval while the approved version goes on."`
	ApprovedAt      *time.Time          `json:"approved_at"`
	ApprovedBy      Null[Actor]         `json:"approved_by"`
}

// PluginBuild is how a binary was built.
type PluginBuild struct {
	GoVersion     string `json:"go_version"`
	Module        string `json:"module"`
	ModuleVersion string `json:"module_version"`
	VCSRevision   string `json:"vcs_revision"`
}

// PluginCrash is how a process ended that was not asked to.
type PluginCrash struct {
	At         time.Time `json:"at"`
	ExitCode   *int      `json:"exit_code"`
	Signal     *string   `json:"signal"`
	LastCall   *string   `json:"last_call"`
	OutputTail *string   `json:"output_tail" doc:"The last that it wrote; told for one plugin, not in lists."`
}

// PluginPending is a file that waits for approval.
type PluginPending struct {
	SHA256    string            `json:"sha256"`
	SizeBytes int64             `json:"size_bytes"`
	FoundAt   time.Time         `json:"found_at"`
	Build     Null[PluginBuild] `json:"build"`
	Misfits   []PluginMisfit    `json:"misfits" nullable:"false" doc:"Stored servers that it would no longer serve, as far as that is known."`
}

// PluginMisfit is a stored server that a version would no longer serve.
type PluginMisfit struct {
	ServerID string   `json:"server_id"`
	Problems []string `json:"problems" nullable:"false"`
}

func toBuild(b *pluginhost.Build) Null[PluginBuild] {
	if b == nil {
		return Null[PluginBuild]{}
	}
	return nullOf(&PluginBuild{GoVersion: b.GoVersion, Module: b.Module, ModuleVersion: b.ModuleVersion, VCSRevision: b.VCSRevision})
}

func toPlugin(s pluginhost.Status, names map[string]string, withOutput bool) Plugin {
	out := Plugin{
		Name: s.Name, Version: s.Version, SDKVersion: s.SDKVersion, ProtocolVersion: s.ProtocolVersion, ServerType: text(s.ServerType),
		Origin: string(s.Origin), FileName: s.FileName, SHA256: s.SHA256, SizeBytes: s.SizeBytes, Build: toBuild(s.Build),
		State: string(s.State), StateSince: database.Micro(s.StateSince), ErrorCode: text(s.ErrorCode), Message: text(s.Message),
		PID: positive(s.PID), StartedAt: moment(s.StartedAt), Restarts: s.Restarts, MemoryBytes: positive(s.MemoryBytes),
		CrashLooping: s.CrashLooping, ApprovedAt: moment(s.ApprovedAt),
	}
	if c := s.LastCrash; c != nil {
		crash := &PluginCrash{At: database.Micro(c.At), Signal: text(c.Signal), LastCall: text(c.LastCall)}
		if c.Signal == "" {
			crash.ExitCode = &c.ExitCode
		}
		if withOutput {
			crash.OutputTail = text(c.OutputTail)
		}
		out.LastCrash = nullOf(crash)
	}
	if p := s.Pending; p != nil {
		pending := &PluginPending{SHA256: p.SHA256, SizeBytes: p.SizeBytes, FoundAt: database.Micro(p.FoundAt), Build: toBuild(p.Build), Misfits: make([]PluginMisfit, len(p.Misfits))}
		for i, m := range p.Misfits {
			pending.Misfits[i] = PluginMisfit{ServerID: m.ServerID, Problems: values(m.Problems)}
		}
		out.Pending = nullOf(pending)
	}
	if s.ApprovedBy != "" {
		by := toActor(s.ApprovedBy, names)
		out.ApprovedBy = nullOf(&by)
	}
	return out
}

// PluginParam names a plugin in the path.
type PluginParam struct {
	Name string `path:"name" maxLength:"64"`
}

func (a *API) shownPlugins(ctx context.Context, all []pluginhost.Status) (*body[List[Plugin]], error) {
	approvers := make([]string, len(all))
	for i, s := range all {
		approvers[i] = s.ApprovedBy
	}
	names, err := a.Keys.Names(ctx, approvers...)
	if err != nil {
		return nil, err
	}
	out := List[Plugin]{Items: make([]Plugin, len(all))}
	for i, s := range all {
		out.Items[i] = toPlugin(s, names, false)
	}
	return ok(out), nil
}

func (a *API) shownPlugin(ctx context.Context, s pluginhost.Status, err error) (*body[Plugin], error) {
	if err != nil {
		return nil, err
	}
	names, err := a.Keys.Names(ctx, s.ApprovedBy)
	if err != nil {
		return nil, err
	}
	return ok(toPlugin(s, names, true)), nil
}

func (a *API) listPlugins(ctx context.Context, _ *struct{}) (*body[List[Plugin]], error) {
	return a.shownPlugins(ctx, a.Plugins.List())
}

func (a *API) getPlugin(ctx context.Context, in *PluginParam) (*body[Plugin], error) {
	s, err := a.Plugins.Get(in.Name)
	return a.shownPlugin(ctx, s, err)
}

// PluginApproval approves one file.
type PluginApproval struct {
	SHA256 string `json:"sha256" pattern:"^[0-9a-f]{64}$" doc:"The hash that was looked at; 409 plugin_changed if the file is another by now."`
}

func (a *API) approvePlugin(ctx context.Context, in *struct {
	PluginParam
	Body PluginApproval
}) (*body[Plugin], error) {
	s, err := a.Plugins.Approve(ctx, in.Name, in.Body.SHA256, actor(ctx))
	return a.shownPlugin(ctx, s, err)
}

func (a *API) disablePlugin(ctx context.Context, in *struct {
	PluginParam
	NoBody
}) (*body[Plugin], error) {
	s, err := a.Plugins.Disable(ctx, in.Name, actor(ctx))
	return a.shownPlugin(ctx, s, err)
}

func (a *API) restartPlugin(ctx context.Context, in *struct {
	PluginParam
	NoBody
}) (*body[Plugin], error) {
	s, err := a.Plugins.Restart(ctx, in.Name, actor(ctx))
	return a.shownPlugin(ctx, s, err)
}

func (a *API) rescanPlugins(ctx context.Context, _ *NoBody) (*body[List[Plugin]], error) {
	all, err := a.Plugins.Rescan(ctx)
	if err != nil {
		return nil, err
	}
	return a.shownPlugins(ctx, all)
}
