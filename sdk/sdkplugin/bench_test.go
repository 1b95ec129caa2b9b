package sdkplugin_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/zondarr/zondarr/sdk"
	pb "github.com/zondarr/zondarr/sdk/internal/pluginpb"
	"github.com/zondarr/zondarr/sdk/sdkplugin"
)

// What the SDK may cost, against bare grpc-go over a unix socket without TLS. The SDK
// runs with mutual TLS, as go-plugin sets it up.
const (
	mostUnary  = 1.3
	mostStream = 1.5
	mostMemory = 16 << 20
	rounds     = 5
	streamed   = 100_000
)

// bare is a server of the same service without the SDK: it answers messages that were
// made before.
type bare struct {
	pb.UnimplementedPluginServiceServer
	user  *pb.GetUserResponse
	batch *pb.ListUsersResponse
}

func (s *bare) GetUser(context.Context, *pb.GetUserRequest) (*pb.GetUserResponse, error) {
	return s.user, nil
}

func (s *bare) ListUsers(_ *pb.ListUsersRequest, stream pb.PluginService_ListUsersServer) error {
	for range streamed / len(s.batch.GetUsers()) {
		if err := stream.Send(s.batch); err != nil {
			return err
		}
	}
	return nil
}

func pbPerson(i int) *pb.User {
	u := person(i)
	return &pb.User{
		Id: u.ID, Username: u.Username, Kind: u.Kind, Status: pb.UserStatus_USER_STATUS_ACTIVE,
		Libraries:   &pb.LibraryAccess{Mode: pb.LibraryMode_LIBRARY_MODE_ONLY, Ids: u.Libraries.IDs},
		Permissions: map[string]pb.Tri{sdk.PermissionDownload: pb.Tri_TRI_ALLOW, sdk.PermissionStream: pb.Tri_TRI_DENY, sdk.PermissionLiveTV: pb.Tri_TRI_ALLOW},
		Limits:      u.Limits, CreatedAt: timestamppb.New(u.CreatedAt), LastActiveAt: timestamppb.New(u.LastActiveAt),
	}
}

// plainUser decodes a message into the struct that the host works with, in the least that
// this takes.
func plainUser(u *pb.User) sdk.User {
	out := sdk.User{
		ID: u.GetId(), Username: u.GetUsername(), Kind: u.GetKind(), Status: sdk.StatusActive,
		Libraries: &sdk.LibraryAccess{Mode: sdk.LibraryOnly, IDs: u.GetLibraries().GetIds()},
		Limits:    u.GetLimits(), CreatedAt: u.GetCreatedAt().AsTime(), LastActiveAt: u.GetLastActiveAt().AsTime(),
		Permissions: make(map[string]sdk.Tri, len(u.GetPermissions())),
	}
	for name, t := range u.GetPermissions() {
		out.Permissions[name] = sdk.Tri(t)
	}
	return out
}

// benchSocket names, for the copy of this test program that a benchmark starts as its
// plugin, the unix socket of the bare server.
const benchSocket = "ZONDARR_BENCH_SOCKET"

// serveBench is the main of that copy: the bare server and, through the SDK, the same users
// once more.
func serveBench(path string) {
	floor := &bare{user: &pb.GetUserResponse{User: pbPerson(1)}, batch: &pb.ListUsersResponse{}}
	users := make([]sdk.User, 500)
	for i := range users {
		users[i] = person(i)
		floor.batch.Users = append(floor.batch.Users, pbPerson(i))
	}
	lis, err := net.Listen("unix", path)
	if err != nil {
		panic(err)
	}
	g := grpc.NewServer()
	pb.RegisterPluginServiceServer(g, floor)
	go func() { _ = g.Serve(lis) }() // ends with the process
	sdkplugin.Serve(&stubPlugin{
		describe: func(d *sdk.Description) { d.Client = (*crowd)(nil) },
		open: func(context.Context, sdk.OpenRequest) (sdk.MediaClient, error) {
			return &crowd{stub: stub{answers: answers{user: person(1)}}, list: func(_ context.Context, yield func(sdk.User) error) error {
				for i := range streamed {
					if err := yield(users[i%len(users)]); err != nil {
						return err
					}
				}
				return nil
			}}, nil
		},
	})
}

// sides starts the plugin, and gives the bare service's client and the SDK's.
func sides(b *testing.B) (pb.PluginServiceClient, *sdkplugin.RemoteClient) {
	b.Helper()
	path := filepath.Join(b.TempDir(), "s")
	_, remote := start(b, os.Args[0], io.Discard, benchSocket+"="+path)
	conn, err := grpc.NewClient("unix:"+path, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = conn.Close() })
	return pb.NewPluginServiceClient(conn), remote.Client(ref("one"))
}

// compare times both sides in turn, and prints and judges the median of the ratios.
func compare(b *testing.B, what string, most float64, floor, sdk func()) {
	b.Helper()
	floor() // both are warm
	sdk()
	ratios := make([]float64, 0, rounds)
	for range rounds {
		start := time.Now()
		floor()
		took := time.Since(start)
		start = time.Now()
		sdk()
		ratios = append(ratios, float64(time.Since(start))/float64(took))
	}
	slices.Sort(ratios)
	median := ratios[rounds/2]
	fmt.Printf("%s: %.2f× bare grpc-go (%.2f to %.2f), at most %.1f×\n", what, median, ratios[0], ratios[rounds-1], most)
	b.ReportMetric(median, "×floor")
	if median > most {
		b.Errorf("%s costs %.2f×, at most %.1f× is allowed", what, median, most)
	}
}

func BenchmarkUnaryOverhead(b *testing.B) {
	plain, client := sides(b)
	const calls = 3000
	run := func(call func(ctx context.Context) error) {
		for range calls {
			ctx, cancel := context.WithTimeout(sdk.WithCorrelationID(b.Context(), "0123456789abcdef"), time.Minute)
			if err := call(ctx); err != nil {
				b.Fatal(err)
			}
			cancel()
		}
	}
	server := &pb.ServerRef{Id: "one", Revision: 1, Url: "http://media.example/one", Secrets: map[string]string{"api_key": "canary-key-0001"}}
	for b.Loop() {
		compare(b, "a unary call with mutual TLS", mostUnary, func() {
			run(func(ctx context.Context) error {
				resp, err := plain.GetUser(ctx, &pb.GetUserRequest{Server: server, Id: "u"})
				_ = plainUser(resp.GetUser())
				return err
			})
		}, func() {
			run(func(ctx context.Context) error {
				_, err := client.GetUser(ctx, sdk.GetUserRequest{ID: "u"})
				return err
			})
		})
	}
}

func BenchmarkStreamOverhead(b *testing.B) {
	plain, client := sides(b)
	for b.Loop() {
		var peak uint64
		compare(b, "a stream of 100,000 users with mutual TLS", mostStream, func() {
			stream, err := plain.ListUsers(b.Context(), &pb.ListUsersRequest{})
			if err != nil {
				b.Fatal(err)
			}
			for n := 0; n < streamed; {
				batch, err := stream.Recv()
				if err != nil {
					b.Fatal(err)
				}
				for _, u := range batch.GetUsers() {
					_ = plainUser(u)
					n++
				}
			}
		}, func() {
			var before, now runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			n := 0
			err := client.ListUsers(b.Context(), sdk.ListUsersRequest{}, func(sdk.User) error {
				if n++; n%20_000 == 0 { // what is in use, the garbage of the moment included
					runtime.ReadMemStats(&now)
					peak = max(peak, now.HeapAlloc-min(now.HeapAlloc, before.HeapAlloc))
				}
				return nil
			})
			if err != nil || n != streamed {
				b.Fatalf("%d users, %v", n, err)
			}
		})
		fmt.Printf("the host's memory for the stream: %.1f MiB, at most %d MiB\n", float64(peak)/(1<<20), mostMemory>>20)
		if peak > mostMemory {
			b.Errorf("the stream took %d bytes", peak)
		}
	}
}
