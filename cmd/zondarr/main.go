// Command zondarr is the host: zondarr --help shows what it does.
package main

import (
	"context"
	"os"

	"github.com/zondarr/zondarr/host"
)

func main() {
	os.Exit(host.Main(context.Background(), os.Args[1:], os.Environ(), host.Stdio{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}))
}
