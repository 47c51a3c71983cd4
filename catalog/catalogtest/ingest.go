package catalogtest

import (
	"github.com/google/go-cmp/cmp"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/catalog"
	"github.com/openams/openams/filter"
)

func testIngest(f *fixture) {
	manifest := func(id string) *ams.IngestManifest {
		return &ams.IngestManifest{Account: "acc1", ID: id, Label: "l", StorageAccount: "store1", Container: "c-" + id, Created: f.now, LastModified: f.now}
	}
	m, n := manifest("m1"), manifest("m2")
	in := &ams.IngestAsset{Account: "acc1", ID: "a1", Manifest: "m1", Asset: "x", Created: f.now, LastModified: f.now}
	file := func(id, name string) *ams.IngestFile {
		return &ams.IngestFile{Account: "acc1", ID: id, Manifest: "m1", IngestAsset: "a1", Name: name, Source: "e", Primary: id == "f1", Encrypted: true, MIMEType: "m",
			EncryptionVersion: "1.0", EncryptionScheme: "s", EncryptionKey: "k", InitializationVector: "v", Created: f.now, LastModified: f.now}
	}
	one, two := file("f1", "1.mp4"), file("f2", "2.mp4")
	f.update(func(tx *catalog.Tx) error {
		for _, err := range []error{tx.InsertIngestManifest(m), tx.InsertIngestManifest(n), tx.InsertIngestAsset(in), tx.InsertIngestFile(one), tx.InsertIngestFile(two)} {
			if err != nil {
				return err
			}
		}
		return nil
	})
	f.refused(ams.Exists, func(tx *catalog.Tx) error { return tx.InsertIngestFile(file("f3", "1.mp4")) })
	f.refused(ams.Exists, func(tx *catalog.Tx) error { again := *in; again.ID = "a2"; return tx.InsertIngestAsset(&again) })

	find := func(text string) (ids string) {
		f.view(func(tx *catalog.Tx) error {
			for _, m := range must(tx.FindIngestManifests("acc1", catalog.Search{Filter: must(filter.Parse(text)), Top: 10})).Rows {
				ids += m.ID + " "
			}
			return nil
		})
		return ids
	}
	stats := func() (s ams.IngestStatistics) {
		f.view(func(tx *catalog.Tx) error { s = *must(tx.IngestStatistics([]string{"m1", "m2"}))["m1"]; return nil })
		return s
	}
	f.view(func(tx *catalog.Tx) error {
		f.same(m, must(tx.IngestManifestByContainer("store1", "c-m1")))
		f.same(in, must(tx.IngestAsset("acc1", "A1")))
		f.same(one, must(tx.IngestFileByName("m1", "1.mp4")))
		f.same(one, must(tx.PrimaryIngestFile("a1")))
		if waiting := must(tx.IngestManifests(true, "", 10)); len(waiting) != 1 || len(must(tx.IngestManifests(false, "m1", 10))) != 1 {
			f.Errorf("waiting: %v", waiting)
		}
		if p := must(tx.FindPendingIngestAssets("acc1", "m1", catalog.Search{Top: 10})); len(p.Rows) != 1 {
			f.Errorf("pending: %v", p.Rows)
		}
		return nil
	})
	if got := find("State eq 1 and Statistics/PendingFilesCount eq 2"); got != "m1 " {
		f.Errorf("activating: %q", got)
	}
	m.Watched, one.State, two.State, two.Error = true, ams.IngestFinished, ams.IngestFailed, "broken"
	f.update(func(tx *catalog.Tx) error {
		if err := tx.UpdateIngestManifest(m); err != nil {
			return err
		}
		return tx.UpdateIngestFile(two)
	})
	if got := find("State eq 2"); got != "m1 " {
		f.Errorf("active: %q", got)
	}
	f.update(func(tx *catalog.Tx) error { return tx.UpdateIngestFile(one) })
	if d := cmp.Diff(ams.IngestStatistics{Finished: 1, Failed: 1, Errors: "2.mp4: broken"}, stats()); d != "" {
		f.Error(d)
	}
	if got := find("State eq 0"); got != "m1 m2 " {
		f.Errorf("inactive: %q", got)
	}
	f.update(func(tx *catalog.Tx) error { return tx.DeleteIngestManifest("acc1", "m1") })
	f.view(func(tx *catalog.Tx) error {
		if _, err := tx.IngestFile("acc1", "f1"); ams.CodeOf(err) != ams.NotFound {
			f.Errorf("a file of a deleted manifest: %v", err)
		}
		return nil
	})
}
