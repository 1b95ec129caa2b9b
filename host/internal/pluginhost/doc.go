// Package pluginhost finds, approves, starts and supervises plugin processes, and
// tells the registry who answers for which server type.
//
// A plugin is one executable file, zondarr-plugin-<name>. Those beside the host's
// own binary are trusted as it is, if nobody but root and the host's own user may
// write to them and to their directory (a group of the owner's own name counts as
// the owner); the directories above are the operator's to guard. One that appears
// in an operator's directory is read, never run: its hash, size and build
// information are listed, and it waits until an admin approves that hash. It then
// runs from a copy in a store that is addressed by content, so that whoever
// replaces the file does not touch what runs; another content waits for another
// approval, and the approved one goes on. Approvals are rows in the database, so
// that replicas share them.
//
// The parts:
//
//   - scanner: what lies in the directories, once it has stopped changing
//   - store, records: the copies of what was approved, and the approvals
//   - plugin (keep): one goroutine for each name, which makes what runs equal to
//     what should run: start, watch, back off, replace, drain, stop
//   - launch, process, output: one process from exec to its last line
//
// What is promised: a plugin gets nothing of the host's environment but an
// allow-list, no descriptor, and cannot read the host's memory; its group of
// processes ends with it, and it ends with the host; whatever it prints, floods,
// refuses or withholds costs the host neither a goroutine nor more than the times
// in Policy, and costs other plugins nothing. What is not: plugins run under the
// host's uid and are not confined. Approval is the boundary.
//
// The package knows nothing of HTTP, of media servers, or of what a call means.
package pluginhost
