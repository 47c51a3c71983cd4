package catalogtest

import (
	"time"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/catalog"
)

func ptr[T any](v T) *T { return &v }

// testStreaming keeps filters, tracks and the settings of endpoints.
func testStreaming(f *fixture) {
	of := func(asset string) *ams.ManifestFilter {
		return &ams.ManifestFilter{Account: "acc1", Asset: asset, Name: "F", FirstQuality: 5,
			Time:    &ams.TimeRange{Start: ptr[int64](0), End: ptr[int64](ams.Unlimited), ForceEndTime: ptr(false)},
			Tracks:  []ams.TrackSelection{{Conditions: []ams.FilterCondition{{Property: ams.TrackType, Value: "audio", Operation: ams.IsEqual}}}},
			Created: f.now, LastModified: f.now, CreatedBy: "me", LastModifiedBy: "you"}
	}
	track := &ams.Track{Account: "acc1", Asset: "A", Name: "T", Kind: ams.TextTrack, FileName: "a.vtt", DisplayName: "d", Language: "en",
		Visibility: ams.Hidden, HLS: &ams.HLSSettings{Forced: ptr(true)}, DASHRole: ptr(""), MPEG4TrackID: ptr[int64](3), Created: f.now, LastModified: f.now}
	endpoint := f.endpoint("E")
	endpoint.Settings = ams.EndpointSettings{MaxCacheAge: ptr[int64](60), CustomHosts: []string{"Media.Example.com"}, Access: &ams.EndpointAccess{
		IP:     &ams.IPAccess{Allow: []ams.IPRange{{Name: "n", Address: "10.0.0.0", PrefixLength: ptr(8)}}},
		Akamai: &ams.AkamaiAccess{Keys: []ams.AkamaiKey{{Identifier: "id", Key: "c2VjcmV0IGtleQ==", Expiration: f.now.Add(time.Hour)}}}}}
	f.update(func(tx *catalog.Tx) error {
		for _, err := range []error{tx.InsertAsset(f.asset("acc1", "A")), tx.InsertManifestFilter(of("")), tx.InsertManifestFilter(of("A")),
			tx.InsertTrack(track), tx.InsertEndpoint(endpoint)} {
			if err != nil {
				return err
			}
		}
		return nil
	})
	f.view(func(tx *catalog.Tx) error {
		f.same(of(""), must(tx.ManifestFilter("acc1", "", "f")))
		f.same(of("A"), must(tx.ManifestFilter("acc1", "a", "F")))
		f.same(track, must(tx.Track("acc1", "a", "t")))
		f.same([]*ams.Track{track}, must(tx.Tracks("acc1", "A")))
		for _, host := range []string{"e.h", "E.H:8888", "media.example.COM.", "media.example.com:443"} {
			f.same(endpoint, must(tx.EndpointByHost(host)))
		}
		return nil
	})
	f.refused(ams.Exists, func(tx *catalog.Tx) error { return tx.InsertManifestFilter(of("a")) })
	f.refused(ams.NotFound, func(tx *catalog.Tx) error { _, err := tx.EndpointByHost("example.com"); return err })
	f.refused(ams.Exists, func(tx *catalog.Tx) error { // a host name leads to one endpoint
		other := f.endpoint("other")
		other.Settings.CustomHosts = []string{"MEDIA.example.com"}
		return tx.InsertEndpoint(other)
	})
	track.MPEG4TrackID, endpoint.Settings.CustomHosts = nil, []string{"new.example.com"}
	f.update(func(tx *catalog.Tx) error {
		if err := tx.UpdateTrack(track); err != nil {
			return err
		}
		return tx.UpdateEndpoint(endpoint)
	})
	f.refused(ams.NotFound, func(tx *catalog.Tx) error { _, err := tx.EndpointByHost("media.example.com"); return err })
	f.view(func(tx *catalog.Tx) error {
		f.same(track, must(tx.Track("acc1", "A", "T")))
		f.same(endpoint, must(tx.EndpointByHost("new.example.com")))
		list, _, err := tx.Endpoints("acc1", catalog.Query{})
		f.same([]*ams.StreamingEndpoint{endpoint}, list)
		return err
	})
	f.update(func(tx *catalog.Tx) error {
		if err := tx.DeleteEndpoint("acc1", "e"); err != nil {
			return err
		}
		return tx.DeleteAsset("acc1", "a")
	})
	f.refused(ams.NotFound, func(tx *catalog.Tx) error { _, err := tx.EndpointByHost("new.example.com"); return err })
	f.refused(ams.NotFound, func(tx *catalog.Tx) error { return tx.DeleteTrack("acc1", "A", "T") })
	f.refused(ams.NotFound, func(tx *catalog.Tx) error { _, err := tx.ManifestFilter("acc1", "A", "F"); return err })
	f.view(func(tx *catalog.Tx) error {
		must(tx.ManifestFilter("acc1", "", "F"))
		return nil
	})
}

// testEndedJobs deletes the records of jobs that ended long ago.
func testEndedJobs(f *fixture) {
	f.queue(f.job("t", "a", ams.Task{}), f.job("t", "b", ams.Task{}), f.job("t", "c", ams.Task{}))
	f.update(func(tx *catalog.Tx) error { _, err := tx.CancelJob("acc1", "t", "a"); return err })
	f.update(func(tx *catalog.Tx) error { _, err := tx.CancelJob("acc1", "t", "b"); return err })
	sweep := func(t time.Time, limit int, want int64) {
		f.Helper()
		f.update(func(tx *catalog.Tx) error {
			if n := must(tx.DeleteEndedJobs(t, limit)); n != want {
				f.Errorf("deleted %d jobs, want %d", n, want)
			}
			return nil
		})
	}
	var ended time.Time
	f.view(func(tx *catalog.Tx) error {
		ended = must(tx.Job("acc1", "t", "b")).Ended
		return nil
	})
	sweep(ended, 10, 0)
	sweep(ended.Add(time.Second), 1, 1)
	sweep(ended.Add(time.Second), 10, 1)
	f.view(func(tx *catalog.Tx) error {
		must(tx.Job("acc1", "t", "c")) // it never ended
		if n := must(tx.CountJobs("acc1")); n != 1 {
			f.Errorf("%d jobs", n)
		}
		return nil
	})
}
