package host

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/zondarr/zondarr/sdk/scaffold"
)

// newCommand writes the module of a new plugin.
func (p *program) newCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "new NAME", Short: "Write the module of a new plugin, which builds and passes its checks at once", Args: oneArg("the name of the new plugin"),
	}
	dir := cmd.Flags().String("dir", "", "where to (default: zondarr-plugin-NAME)")
	sdk := cmd.Flags().String("sdk", "", "folder of Zondarr's own module, to build against instead of a release")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		written, files, err := scaffold.Write(scaffold.Options{Name: args[0], Dir: *dir, SDK: *sdk})
		if err != nil {
			return err
		}
		fmt.Fprintf(p.stdio.Out, "Wrote %s:\n", written)
		for _, f := range files {
			fmt.Fprintf(p.stdio.Out, "  %s\n", f)
		}
		fmt.Fprintf(p.stdio.Out, "Next: cd %s && go mod tidy && go test ./... && go build\n", written)
		return nil
	}
	return cmd
}
