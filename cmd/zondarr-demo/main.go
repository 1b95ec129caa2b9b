// Command zondarr-demo shows the product against simulated media servers. It
// keeps nothing: everything lives in a temporary directory until it ends.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() { os.Exit(run()) }

func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	addr := "127.0.0.1:8000"
	if len(os.Args) > 1 {
		addr = os.Args[1]
	}
	if err := demo(ctx, addr, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "zondarr-demo:", err)
		return 1
	}
	return 0
}
