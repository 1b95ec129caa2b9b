package sdkplugin

import (
	"context"
	"errors"
	"io"

	"github.com/zondarr/zondarr/sdk"
	pb "github.com/zondarr/zondarr/sdk/internal/pluginpb"
)

// ListUsers calls yield for every user. It gives nil only when the plugin said that
// the list is complete. An error that yield returns ends the list and is returned as
// it is. No more than a few batches are held at a time. How long the plugin may be
// silent is for ctx to say.
func (c *RemoteClient) ListUsers(ctx context.Context, _ sdk.ListUsersRequest, yield func(sdk.User) error) error {
	const op = "ListUsers"
	if c.broken != nil {
		e := *c.broken
		e.Op = op
		return &e
	}
	streamCtx, cancel := context.WithCancel(ctx)
	defer cancel() // also when yield has had enough
	stream, err := c.rpc.ListUsers(streamCtx, &pb.ListUsersRequest{Server: c.server})
	if err != nil {
		return c.failed(ctx, op, err)
	}
	complete := false
	for {
		batch, err := stream.Recv()
		switch {
		case errors.Is(err, io.EOF) && complete:
			return nil
		case errors.Is(err, io.EOF):
			return c.garbled(op, errors.New("the plugin ended the list without saying that it is complete"))
		case err != nil:
			return c.failed(ctx, op, err)
		case complete:
			return c.garbled(op, errors.New("the plugin went on after it had said that the list is complete"))
		}
		for _, u := range batch.GetUsers() {
			user, err := fromUser(u)
			if err != nil {
				return c.garbled(op, err)
			}
			if err := yield(user); err != nil {
				return err
			}
		}
		complete = batch.GetComplete()
	}
}
