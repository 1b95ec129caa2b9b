// Command zondarr is the host, and the command line to operate it: `zondarr
// serve` serves the API and runs the plugins beside it, the other commands make
// keys, move and keep the database, and look after plugins. Everything it does is
// in package host; here the process's own arguments, environment and streams are
// handed over, so that tests can hand over others.
package main

import (
	"context"
	"os"

	"github.com/zondarr/zondarr/host"
)

func main() {
	os.Exit(host.Main(context.Background(), os.Args[1:], os.Environ(), host.Stdio{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}))
}
