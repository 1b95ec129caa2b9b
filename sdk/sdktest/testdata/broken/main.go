// Broken is a plugin with one fault, which its file's name tells: a copy named
// zondarr-plugin-broken-panics panics. Each fault must be found, and named, by the
// conformance checks.
package main

import (
	"fmt"
	"log"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/zondarr/zondarr/sdk/sdkplugin"
	"github.com/zondarr/zondarr/sdk/sdktest/testdata/broken/fault"
)

func main() {
	path, err := os.Executable()
	if err != nil {
		log.Fatal(err)
	}
	name := strings.TrimPrefix(filepath.Base(path), "zondarr-plugin-")
	p := fault.New(name, strings.TrimPrefix(name, "broken-"))
	switch p.Fault {
	case "chatty":
		fmt.Println("Starting up…")
	case "outlives-host":
		// Serve watches a pipe only.
		if os.Stdin, err = os.Open(os.DevNull); err != nil {
			log.Fatal(err)
		}
	case "mortal":
		go func() {
			time.Sleep(200 * time.Millisecond)
			stop := make(chan os.Signal, 1)
			signal.Notify(stop, syscall.SIGTERM, syscall.SIGHUP)
			<-stop
			os.Exit(0)
		}()
	case "leaves-a-child":
		child := exec.Command("sleep", "100")
		child.Stdout, child.Stderr = os.Stdout, os.Stderr
		if err := child.Start(); err != nil {
			log.Fatal(err)
		}
	case "crashes":
		log.Fatal("the configuration file is missing")
	}
	sdkplugin.Serve(p)
}
