package pluginhost

import (
	"bufio"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/hashicorp/go-plugin"

	"github.com/zondarr/zondarr/sdk/sdkplugin"
)

// checkHandshake says what is wrong with the first line of a plugin, so wrong
// that another start would not help; err is how reading it ended. No line at all
// is not judged here: the process may have crashed.
//
// The line is core protocol | contract version | network | address | "grpc" |
// certificate; the address must be a socket in socketDir. go-plugin checks most of
// it again; its errors are text.
func checkHandshake(line []byte, err error, socketDir string) *refusal {
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		return notPlugin("its first line has no end")
	case err != nil && len(line) == 0:
		return nil
	case !utf8.Valid(line):
		return notPlugin("its first line is no text")
	}
	parts := strings.Split(strings.TrimSpace(string(line)), "|")
	if len(parts) < 4 {
		return notPlugin("its first line is no handshake")
	}
	core, err := strconv.Atoi(parts[0])
	if err != nil {
		return notPlugin("its first line is no handshake")
	}
	contract, err := strconv.Atoi(parts[1])
	switch {
	case err != nil:
		return notPlugin("its first line is no handshake")
	case core != plugin.CoreProtocolVersion:
		return &refusal{code: CodeProtocolVersion, message: fmt.Sprintf(
			"The plugin speaks version %d of the plugin protocol, this Zondarr version %d.", core, plugin.CoreProtocolVersion)}
	}
	if _, spoken := sdkplugin.VersionedPlugins()[contract]; !spoken {
		return &refusal{code: CodeProtocolVersion, message: fmt.Sprintf(
			"The plugin speaks version %d of the contract, this Zondarr version %d: install the plugin's version for this Zondarr.",
			contract, sdkplugin.ProtocolVersion)}
	}
	switch {
	case len(parts) < 5 || parts[4] != string(plugin.ProtocolGRPC):
		return notPlugin("it does not speak gRPC")
	case len(parts) < 6 || len(parts[5]) < 50:
		// go-plugin would go on without a certificate to trust, and fail at the first
		// call with an error that does not say so.
		return notPlugin("it does not encrypt its connection")
	case !inSocketDir(parts[2], parts[3], socketDir):
		return notPlugin("it does not listen on a socket in the run directory that it was given")
	case !isCertificate(parts[5]):
		return notPlugin("the certificate in its first line cannot be read")
	}
	return nil
}

// inSocketDir says whether an address is a socket in a directory, and not in one
// below it.
func inSocketDir(network, address, dir string) bool {
	return network == "unix" && filepath.Dir(filepath.Clean(address)) == filepath.Clean(dir)
}

// isCertificate reads a certificate as go-plugin does.
func isCertificate(text string) bool {
	der, err := base64.RawStdEncoding.DecodeString(text)
	if err != nil {
		return false
	}
	_, err = x509.ParseCertificate(der)
	return err == nil
}

func notPlugin(why string) *refusal {
	return &refusal{code: CodeNotPlugin, message: "This is no Zondarr plugin: " + why + "."}
}
