package pluginhost

import (
	"bufio"
	"errors"
	"fmt"
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
// certificate. go-plugin checks most of it again; its errors are text.
func checkHandshake(line []byte, err error) *refusal {
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
		// go-plugin would go on in plain text.
		return notPlugin("it does not encrypt its connection")
	}
	return nil
}

func notPlugin(why string) *refusal {
	return &refusal{code: CodeNotPlugin, message: "This is no Zondarr plugin: " + why + "."}
}
