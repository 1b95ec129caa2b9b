package sdkplugin

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/zondarr/zondarr/sdk"
	pb "github.com/zondarr/zondarr/sdk/internal/pluginpb"
)

// listSilence is how long a list may be without a message.
const listSilence = 10 * time.Second

var errSilent = errors.New("no part of the list came for 10 s")

// ListUsers calls yield for every user. It gives nil only when the plugin said that
// the list is complete. An error that yield returns ends the list and is returned as
// it is. No more than a few batches are held at a time.
func (c *RemoteClient) ListUsers(ctx context.Context, _ sdk.ListUsersRequest, yield func(sdk.User) error) error {
	const op = "ListUsers"
	if c.broken != nil {
		e := *c.broken
		e.Op = op
		return &e
	}
	streamCtx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silence := time.AfterFunc(listSilence, func() { cancel(errSilent) })
	defer silence.Stop()

	stream, err := c.rpc.ListUsers(streamCtx, &pb.ListUsersRequest{Server: c.server})
	if err != nil {
		return c.failed(ctx, op, err)
	}
	complete := false
	for {
		silence.Reset(listSilence)
		batch, err := stream.Recv()
		silence.Stop() // what yield takes is the caller's time
		switch {
		case errors.Is(err, io.EOF) && complete:
			return nil
		case errors.Is(err, io.EOF):
			return c.garbled(op, errors.New("the plugin ended the list without saying that it is complete"))
		case err != nil && ctx.Err() == nil && errors.Is(context.Cause(streamCtx), errSilent):
			return &sdk.Error{
				Reason: sdk.ReasonTimeout, Source: sdk.SourceHost, Retryable: true, Op: op, ServerURL: c.url,
				Message: errSilent.Error(), Err: context.DeadlineExceeded,
			}
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
