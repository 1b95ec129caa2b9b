package sdkplugin

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/zondarr/zondarr/sdk"
	pb "github.com/zondarr/zondarr/sdk/internal/pluginpb"
)

// maxFields bounds the inputs that one failure blames.
const maxFields = 64

// statusOf turns a client's error into the status that carries it.
func statusOf(e *sdk.Error, r redactor) error {
	info := &pb.FailureInfo{
		Reason:         toReason.of(e.Kind()),
		Source:         toSource.of(e.Source),
		Retryable:      e.Retryable,
		UpstreamStatus: int32(e.UpstreamStatus),
		Undone:         e.Undone,
		Stale:          e.Stale,
	}
	if e.Source == sdk.SourceHost { // the host's own word
		info.Source = pb.FailureSource_FAILURE_SOURCE_PLUGIN
	}
	if e.RetryAfter > 0 {
		info.RetryAfter = durationpb.New(e.RetryAfter)
	}
	for _, f := range e.Fields[:min(len(e.Fields), maxFields)] {
		info.Fields = append(info.Fields, &pb.FieldProblem{Field: r.text(f.Field), Code: r.text(f.Code), Message: r.text(f.Message)})
	}
	s, err := status.New(codeOf(e.Kind()), r.text(e.Message)).WithDetails(info)
	if err != nil { // only for a code OK, which codeOf never gives
		return status.Error(codes.Internal, "the failure cannot be sent")
	}
	return s.Err()
}

// codeOf gives the gRPC code that goes with a reason. It is for logs and foreign
// tools: the host reads the detail.
func codeOf(r sdk.Reason) codes.Code {
	switch r {
	case sdk.ReasonUnavailable, sdk.ReasonStarting:
		return codes.Unavailable
	case sdk.ReasonTimeout:
		return codes.DeadlineExceeded
	case sdk.ReasonRateLimited, sdk.ReasonLimitReached:
		return codes.ResourceExhausted
	case sdk.ReasonCredentialsRejected:
		return codes.Unauthenticated
	case sdk.ReasonNotAdmin, sdk.ReasonProtected:
		return codes.PermissionDenied
	case sdk.ReasonNotFound, sdk.ReasonLibraryNotFound:
		return codes.NotFound
	case sdk.ReasonUsernameTaken, sdk.ReasonEmailTaken, sdk.ReasonAlreadyMember:
		return codes.AlreadyExists
	case sdk.ReasonUsernameInvalid, sdk.ReasonPasswordRejected, sdk.ReasonEmailRequired, sdk.ReasonInvalid:
		return codes.InvalidArgument
	case sdk.ReasonUnsupported:
		return codes.Unimplemented
	case sdk.ReasonAccessNotApplied:
		return codes.Aborted
	case sdk.ReasonServerError, sdk.ReasonAmbiguous:
		return codes.Unknown
	case sdk.ReasonEndpointGone, sdk.ReasonWrongProduct, sdk.ReasonWrongServer, sdk.ReasonVersionUnsupported,
		sdk.ReasonAccountNotReady, sdk.ReasonLinkExpired:
		return codes.FailedPrecondition
	default:
		return codes.Internal
	}
}

// errorOf turns what gRPC answered into the error that the host sees, without
// operation and server. A status with a FailureInfo is the plugin's word; one
// without says how the call itself went wrong.
func errorOf(ctx context.Context, err error) *sdk.Error {
	s, _ := status.FromError(err)
	for _, d := range s.Details() {
		if info, ok := d.(*pb.FailureInfo); ok {
			return failureOf(ctx, s.Message(), info)
		}
	}
	host := func(reason sdk.Reason, cause error, msg string) *sdk.Error {
		return &sdk.Error{Reason: reason, Source: sdk.SourceHost, Retryable: true, Message: msg, Err: cause}
	}
	switch {
	case ctx.Err() != nil:
		return host(sdk.ReasonTimeout, ctx.Err(), gaveUp(ctx.Err()))
	case s.Code() == codes.DeadlineExceeded: // the other side's clock ran out first
		return host(sdk.ReasonTimeout, context.DeadlineExceeded, gaveUp(context.DeadlineExceeded))
	case s.Code() == codes.Unavailable, s.Code() == codes.Canceled:
		return host(sdk.ReasonUnavailable, nil, "the plugin process is gone")
	}
	e := &sdk.Error{Reason: sdk.ReasonInternal, Source: sdk.SourcePlugin}
	switch s.Code() {
	case codes.Unimplemented:
		e.Reason, e.Message = sdk.ReasonUnsupported, "the plugin does not support this"
	case codes.ResourceExhausted:
		e.Message = fmt.Sprintf("a message exceeds %d MiB", MaxMessageBytes>>20)
	default:
		e.Message = fmt.Sprintf("the plugin failed with %s and did not say why", s.Code())
	}
	return e
}

func gaveUp(err error) string {
	if errors.Is(err, context.Canceled) {
		return "the call was given up before the plugin answered"
	}
	return "the plugin did not answer in time"
}

// failureOf reads the plugin's word. Its texts are bounded here too: not every plugin
// uses this SDK.
func failureOf(ctx context.Context, msg string, info *pb.FailureInfo) *sdk.Error {
	text := redactor{}.text
	e := &sdk.Error{
		Reason:         fromReason.of(info.GetReason()),
		Source:         fromSource.of(info.GetSource()),
		Message:        text(msg),
		Retryable:      info.GetRetryable(),
		UpstreamStatus: int(info.GetUpstreamStatus()),
		Undone:         info.GetUndone(),
		Stale:          info.GetStale(),
		Err:            ctx.Err(),
	}
	if e.Reason == "" {
		e.Reason = sdk.ReasonInternal
	}
	if e.Source == sdk.SourceHost {
		e.Source = sdk.SourcePlugin
	}
	if d := info.GetRetryAfter(); d.CheckValid() == nil {
		e.RetryAfter = max(0, d.AsDuration())
	}
	for _, f := range info.GetFields()[:min(len(info.GetFields()), maxFields)] {
		e.Fields = append(e.Fields, sdk.FieldProblem{Field: text(f.GetField()), Code: text(f.GetCode()), Message: text(f.GetMessage())})
	}
	return e
}
