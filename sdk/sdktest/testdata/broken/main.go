// Broken is a plugin with one fault, which its file's name tells: a copy named
// zondarr-plugin-broken-panics panics. Each fault must be found, and named, by the
// conformance checks.
package main

import (
	"bufio"
	"fmt"
	"io"
	"log"
	"net"
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

// listenOnTCP makes the handshake name a TCP port, from which it passes everything on to
// the socket.
func listenOnTCP() error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	out := os.Stdout
	line, w, err := os.Pipe()
	if err != nil {
		return err
	}
	os.Stdout = w
	go func() {
		text, err := bufio.NewReader(line).ReadString('\n')
		parts := strings.Split(text, "|")
		if err != nil || len(parts) < 4 {
			log.Fatal("there is no handshake: ", text, err)
		}
		socket := parts[3]
		parts[2], parts[3] = "tcp", listener.Addr().String()
		fmt.Fprint(out, strings.Join(parts, "|"))
		for {
			from, err := listener.Accept()
			if err != nil {
				log.Fatal(err)
			}
			to, err := net.Dial("unix", socket)
			if err != nil {
				log.Fatal(err)
			}
			go func() { _, _ = io.Copy(to, from); to.Close() }()
			go func() { _, _ = io.Copy(from, to); from.Close() }()
		}
	}()
	return nil
}

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
	case "homesick": // is at home in the directory of whoever starts it by hand
		if _, err := os.Stat("testdata/broken/main.go"); err != nil {
			log.Fatal(err)
		}
	case "networked":
		if err := listenOnTCP(); err != nil {
			log.Fatal(err)
		}
	}
	sdkplugin.Serve(p)
}
