package host

import (
	"github.com/spf13/cobra"

	"github.com/zondarr/zondarr/host/internal/api"
)

func (p *program) openapiCommand() *cobra.Command {
	return &cobra.Command{
		Use: "openapi", Short: "Print the OpenAPI document", Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			doc, err := api.Document(Version())
			if err != nil {
				return err
			}
			_, err = p.stdio.Out.Write(append(doc, '\n'))
			return err
		},
	}
}
