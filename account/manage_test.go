package account_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/openams/openams/account"
	"github.com/openams/openams/ams"
	"github.com/openams/openams/catalog"
)

// TestSweep deletes the records of jobs 90 days after their end, and keeps
// those that did not end.
func TestSweep(t *testing.T) {
	for _, tt := range []struct {
		keep time.Duration
		at   time.Duration // after the end
		jobs int
		left int
	}{
		{0, 90*24*time.Hour - time.Minute, 3, 3}, {0, 90*24*time.Hour + time.Minute, 3, 1},
		{time.Hour, 2 * time.Hour, 601, 1}, // more than one transaction deletes
		{-1, 1000 * 24 * time.Hour, 3, 3},
	} {
		now := time.Now()
		clock := func() time.Time { return now }
		var db *catalog.DB
		s := open(t, t.TempDir(), func(c *account.Config) { c.KeepJobs, c.Now, db = tt.keep, clock, c.Catalog })
		a, ctx := firstAccount(t, s), t.Context()
		if _, _, err := a.CreateOrUpdateAsset(ctx, "a", account.AssetInput{}); err != nil {
			t.Fatal(err)
		}
		preset := ams.Preset{Type: ams.BuiltIn, Body: []byte(`{"presetName":"AdaptiveStreaming"}`)}
		if _, _, err := a.CreateOrUpdateTransform(ctx, "t", account.TransformInput{Outputs: []ams.TransformOutput{{Preset: preset}}}); err != nil {
			t.Fatal(err)
		}
		err := db.Update(ctx, func(tx *catalog.Tx) error {
			for i := range tt.jobs {
				name := fmt.Sprint("j", i)
				err := tx.InsertJob(&ams.Job{Account: a.ID, Transform: "t", Name: name, ID: name, Priority: ams.Normal,
					Tasks: []ams.Task{{ID: name + "-0", Preset: preset, Priority: ams.Normal, Asset: "a"}}})
				if err == nil && i > 0 {
					_, err = tx.CancelJob(a.ID, "t", name)
				}
				if err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		now = now.Add(tt.at + time.Second)
		n, err := s.Sweep(ctx)
		if err != nil || int(n) != tt.jobs-tt.left {
			t.Errorf("keep %v, after %v: deleted %d, %v", tt.keep, tt.at, n, err)
		}
		jobs, _, err := a.Jobs(ctx, "t", catalog.Query{})
		if err != nil || len(jobs) != tt.left || jobs[0].Name != "j0" {
			t.Errorf("keep %v, after %v: %d jobs are left, %v", tt.keep, tt.at, len(jobs), err)
		}
	}
}

// TestHostNames follows the host of the server from one start to the next.
func TestHostNames(t *testing.T) {
	dir, ctx := t.TempDir(), t.Context()
	names := func(s *account.Server) (list []string) {
		for _, name := range []string{first.Account, "second"} {
			a, err := s.Account(ctx, first.SubscriptionID, first.ResourceGroup, name)
			if err != nil {
				t.Fatal(err)
			}
			es, _, err := a.Endpoints(ctx, catalog.Query{})
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range es {
				list = append(list, e.HostName)
				if found, err := s.EndpointOf(ctx, e.HostName); err != nil || found.ID != e.ID {
					t.Errorf("EndpointOf(%s): %+v, %v", e.HostName, found, err)
				}
			}
		}
		return list
	}
	s := open(t, dir, nil)
	_, _, _, err := firstAccount(t, s).CreateEndpoint(ctx, ams.StreamingEndpoint{Name: "VOD-1", Location: "here"}, false)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, _, err := s.CreateOrUpdateAccount(ctx, ams.Account{Name: "second", SubscriptionID: first.SubscriptionID, ResourceGroup: first.ResourceGroup,
		Location: "here", Storage: []ams.AccountStorage{{Name: first.StorageAccount, Primary: true}}}); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(names(s)); got != "[localhost:8888 vod-1-openams.localhost:8888 second.localhost:8888]" {
		t.Error(got)
	}
	s.Close()
	for _, tt := range []struct{ host, domain, want string }{
		{"192.0.2.1:9000", "", "[192.0.2.1:9000 vod-1-openams.localhost:9000 second.localhost:9000]"},
		{"[::1]:9000", "", "[[::1]:9000 vod-1-openams.localhost:9000 second.localhost:9000]"},
		{"media.example.com", "", "[media.example.com vod-1-openams.media.example.com second.media.example.com]"},
		{"media.example.com", "s.example.com:1", "[media.example.com vod-1-openams.s.example.com:1 second.s.example.com:1]"},
	} {
		s := open(t, dir, func(c *account.Config) { c.StreamingHost, c.StreamingDomain = tt.host, tt.domain })
		if got := fmt.Sprint(names(s)); got != tt.want {
			t.Errorf("%s, %s: %s, want %s", tt.host, tt.domain, got, tt.want)
		}
		if e, err := s.EndpointOf(ctx, "localhost:8888"); err != nil || e.Name != ams.DefaultEndpoint {
			t.Errorf("the old name: %+v, %v", e, err)
		}
	}
}

// TestTrackRestart lets a server die while it deletes a track.
func TestTrackRestart(t *testing.T) {
	dir, ctx := t.TempDir(), t.Context()
	s := open(t, dir, nil)
	a := firstAccount(t, s)
	if _, _, err := a.CreateOrUpdateAsset(ctx, "Clip one", account.AssetInput{}); err != nil {
		t.Fatal(err)
	}
	if _, _, _, err := a.CreateOrUpdateTrack(ctx, "clip ONE", ams.Track{Name: "v", Kind: ams.VideoTrack}); err != nil {
		t.Fatal(err)
	}
	s.Close()
	var db *catalog.DB
	s = open(t, dir, func(c *account.Config) { db = c.Catalog })
	op := &ams.Operation{ID: "6f1ea4a0-0000-4000-8000-000000000001", Account: a.ID, Kind: account.TrackOperations, Goal: ams.OperationDeletes, Status: ams.OperationInProgress, Created: time.Now(),
		Resource: "/subscriptions/" + a.SubscriptionID + "/resourceGroups/" + a.ResourceGroup + "/providers/Microsoft.Media/mediaservices/" + a.Name + "/assets/Clip one/tracks/v"}
	if err := db.Update(ctx, func(tx *catalog.Tx) error { return tx.InsertOperation(op) }); err != nil {
		t.Fatal(err)
	}
	a = firstAccount(t, s)
	if _, _, err := a.UpdateTrack(ctx, "Clip one", "v", func(*ams.Track) error { return nil }); ams.CodeOf(err) != ams.Conflict {
		t.Errorf("another operation: %v", err)
	}
	if err := s.Recover(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Track(ctx, "Clip one", "V"); ams.CodeOf(err) != ams.NotFound {
		t.Errorf("the track is still there: %v", err)
	}
	if op, err := a.Operation(ctx, account.TrackOperations, op.ID); err != nil || op.Status != ams.OperationSucceeded {
		t.Errorf("%+v, %v", op, err)
	}
	if _, err := a.Operation(ctx, account.EndpointOperations, op.ID); ams.CodeOf(err) != ams.NotFound {
		t.Errorf("as an operation of endpoints: %v", err)
	}
}
