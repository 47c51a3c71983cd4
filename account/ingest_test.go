package account_test

import (
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/openams/openams/account"
	"github.com/openams/openams/ams"
	"github.com/openams/openams/blob"
	"github.com/openams/openams/catalog"
)

// An ingest is a manifest with an asset and what waits for it.
type ingest struct {
	*testing.T
	s        *account.Server
	a        *account.Account
	manifest *ams.IngestManifest
	asset    *ams.Asset
	in       *ams.IngestAsset
}

func newIngest(t *testing.T) *ingest {
	t.Helper()
	s := open(t, t.TempDir(), nil)
	i := &ingest{T: t, s: s, a: firstAccount(t, s)}
	var err error
	if i.manifest, err = i.a.CreateIngestManifest(t.Context(), "m", ""); err != nil {
		t.Fatal(err)
	}
	label := "a"
	if i.asset, err = i.a.NewAsset(t.Context(), account.AssetInput{Label: &label}); err != nil {
		t.Fatal(err)
	}
	if i.in, err = i.a.AddIngestAsset(t.Context(), i.manifest.ID, strings.ToUpper(i.asset.ID)); err != nil {
		t.Fatal(err)
	}
	return i
}

// add expects a file.
func (i *ingest) add(name string, primary bool) *ams.IngestFile {
	i.Helper()
	f, err := i.a.AddIngestFile(i.Context(), ams.IngestFile{Manifest: i.manifest.ID, IngestAsset: i.in.ID, Name: name, Primary: primary,
		Encrypted: true, EncryptionScheme: "StorageEncryption", EncryptionVersion: "1.0", EncryptionKey: "k", InitializationVector: "7", MIMEType: "video/mp4"})
	if err != nil {
		i.Fatal(err)
	}
	return f
}

func (i *ingest) upload(name, text string) {
	i.Helper()
	if _, err := i.s.Blobs.Put(i.Context(), i.manifest.StorageAccount, i.manifest.Container, name, strings.NewReader(text), blob.PutOptions{}); err != nil {
		i.Fatal(err)
	}
}

func (i *ingest) look() {
	i.Helper()
	if err := i.s.Ingest(i.Context(), true); err != nil {
		i.Fatal(err)
	}
}

// stats are the statistics and the state of the manifest.
func (i *ingest) stats() (ams.IngestStatistics, ams.IngestState) {
	i.Helper()
	m, err := i.a.IngestManifest(i.Context(), i.manifest.ID)
	if err != nil {
		i.Fatal(err)
	}
	s, err := i.a.IngestStatistics(i.Context(), m)
	if err != nil {
		i.Fatal(err)
	}
	return *s[m.ID], m.State(s[m.ID].Pending)
}

func (i *ingest) want(stats ams.IngestStatistics, state ams.IngestState) {
	i.Helper()
	if got, is := i.stats(); got != stats || is != state {
		i.Errorf("%+v in state %d, want %+v in state %d", got, is, stats, state)
	}
}

// text is what the asset has under a name.
func (i *ingest) text(name string) string {
	i.Helper()
	r, err := i.s.Blobs.Open(i.Context(), i.asset.StorageAccount, i.asset.Container, name)
	if err != nil {
		i.Error(err)
		return ""
	}
	defer r.Close()
	b, err := io.ReadAll(io.NewSectionReader(r, 0, r.Size()))
	if err != nil {
		i.Error(err)
	}
	return string(b)
}

// left is how many blobs the container of the manifest has.
func (i *ingest) left() (n int) {
	i.Helper()
	for _, err := range i.s.Blobs.All(i.Context(), i.manifest.StorageAccount, i.manifest.Container, "") {
		if err != nil {
			i.Fatal(err)
		}
		n++
	}
	return n
}

// Files are moved to their asset as they arrive, whichever comes first: the
// upload or the record of the file.
func TestIngest(t *testing.T) {
	i := newIngest(t)
	i.want(ams.IngestStatistics{}, ams.IngestInactive)
	i.add("one.mp4", true)
	i.want(ams.IngestStatistics{Pending: 1}, ams.IngestActivating)
	i.look()
	i.want(ams.IngestStatistics{Pending: 1}, ams.IngestActive)
	i.upload("two.mp4", "second")
	i.upload("one.mp4", "first")
	i.look()
	i.want(ams.IngestStatistics{Finished: 1}, ams.IngestInactive)
	if n := i.left(); n != 1 {
		t.Errorf("%d blobs are left, not what nobody asked for", n)
	}
	two := i.add("two.mp4", false)
	i.look()
	i.want(ams.IngestStatistics{Finished: 2}, ams.IngestInactive)
	if i.text("one.mp4") != "first" || i.text("two.mp4") != "second" || i.left() != 0 {
		t.Error("the files are not in the asset, or still in the manifest")
	}
	found, err := i.a.FindFiles(t.Context(), catalog.Search{Top: 10})
	if err != nil || len(found.Rows) != 2 {
		t.Fatalf("%v %v", found, err)
	}
	for _, f := range found.Rows {
		if f.Asset != i.asset.ID || f.Primary != (f.Name == "one.mp4") || !f.Encrypted || f.EncryptionKey != "k" || f.InitializationVector != "7" || f.MIMEType != "video/mp4" || f.Size == 0 {
			t.Errorf("%+v", f)
		}
	}
	if f, err := i.a.IngestFile(t.Context(), two.ID); err != nil || f.State != ams.IngestFinished {
		t.Errorf("%+v %v", f, err)
	}
	// An upload under the name of a finished file stays where it is.
	i.upload("one.mp4", "again")
	if err := i.s.Ingest(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	if i.text("one.mp4") != "first" || i.left() != 1 {
		t.Error("a finished file was moved again")
	}
	if err := i.a.DeleteIngestManifest(t.Context(), i.manifest.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := i.a.AssetByID(t.Context(), i.asset.ID); err != nil {
		t.Errorf("the asset went with the manifest: %v", err)
	}
	if _, err := i.s.Blobs.Container(t.Context(), i.manifest.StorageAccount, i.manifest.Container); ams.CodeOf(err) != ams.NotFound {
		t.Errorf("the container of the manifest: %v", err)
	}
}

// RunIngest sees an upload without being asked.
func TestRunIngest(t *testing.T) {
	i := newIngest(t)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- i.s.RunIngest(ctx) }()
	i.add("one.mp4", false)
	deadline := time.Now().Add(20 * time.Second)
	wait := func(stats ams.IngestStatistics, state ams.IngestState) {
		t.Helper()
		for {
			if got, is := i.stats(); got == stats && is == state {
				return
			} else if time.Now().After(deadline) {
				t.Fatalf("%+v in state %d", got, is)
			}
			time.Sleep(5 * time.Millisecond)
		}
	}
	wait(ams.IngestStatistics{Pending: 1}, ams.IngestActive)
	i.upload("one.mp4", "first")
	wait(ams.IngestStatistics{Finished: 1}, ams.IngestInactive)
	stop()
	<-done
}

// A kill between the steps of a move leaves something that the next start ends.
func TestIngestAfterKill(t *testing.T) {
	i := newIngest(t)
	f := i.add("one.mp4", false)
	i.upload("one.mp4", "first")
	// Killed after the copy: the asset has the blob, nothing else happened.
	if _, err := i.s.Blobs.Put(t.Context(), i.asset.StorageAccount, i.asset.Container, "one.mp4", strings.NewReader("first"), blob.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	b, err := i.s.Blobs.Stat(t.Context(), i.manifest.StorageAccount, i.manifest.Container, "one.mp4")
	if err != nil {
		t.Fatal(err)
	}
	i.look()
	i.want(ams.IngestStatistics{Finished: 1}, ams.IngestInactive)

	// Killed before the source was deleted: it is there with the ETag that was moved.
	i.upload("one.mp4", "first")
	if b, err = i.s.Blobs.Stat(t.Context(), i.manifest.StorageAccount, i.manifest.Container, "one.mp4"); err != nil {
		t.Fatal(err)
	}
	err = i.s.Catalog.Update(t.Context(), func(tx *catalog.Tx) error {
		now, err := tx.IngestFile(i.a.ID, f.ID)
		if err != nil {
			return err
		}
		now.Source = b.ETag
		return tx.UpdateIngestFile(now)
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := i.s.Ingest(t.Context(), false); err != nil || i.left() != 0 {
		t.Errorf("%d blobs are left, %v", i.left(), err)
	}
}

// What cannot be moved says why.
func TestIngestFails(t *testing.T) {
	i := newIngest(t)
	i.add("taken.mp4", false)
	if _, err := i.a.CreateFile(t.Context(), ams.AssetFile{Asset: i.asset.ID, Name: "taken.mp4"}); err != nil {
		t.Fatal(err)
	}
	i.upload("taken.mp4", "x")
	i.look()
	i.want(ams.IngestStatistics{Failed: 1, Errors: "taken.mp4: The asset has a file named 'taken.mp4' already."}, ams.IngestInactive)
	if i.left() != 1 {
		t.Error("the upload is lost")
	}
	i.add("late.mp4", false)
	if _, err := i.a.DeleteAsset(t.Context(), i.asset.Name); err != nil {
		t.Fatal(err)
	}
	i.upload("late.mp4", "x")
	i.look()
	i.want(ams.IngestStatistics{Failed: 2, Errors: "taken.mp4: The asset has a file named 'taken.mp4' already.\nlate.mp4: The asset was deleted."}, ams.IngestInactive)
}

func TestIngestRefuses(t *testing.T) {
	i := newIngest(t)
	i.add("one.mp4", true)
	other, err := i.a.CreateIngestManifest(t.Context(), "", "")
	if err != nil {
		t.Fatal(err)
	}
	store, _, err := i.s.CreateStorageAccount(t.Context(), "second")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		code ams.Code
		do   func() error
	}{
		{"unknown storage account", ams.NotFound, func() error { _, err := i.a.CreateIngestManifest(t.Context(), "", store.Name); return err }},
		{"long name", ams.Invalid, func() error { return i.a.UpdateIngestManifest(t.Context(), i.manifest.ID, strings.Repeat("x", 5000)) }},
		{"unknown manifest", ams.NotFound, func() error { _, err := i.a.AddIngestAsset(t.Context(), "x", i.asset.ID); return err }},
		{"unknown asset", ams.NotFound, func() error { _, err := i.a.AddIngestAsset(t.Context(), i.manifest.ID, "x"); return err }},
		{"the asset again", ams.Exists, func() error {
			_, err := i.a.AddIngestAsset(t.Context(), i.manifest.ID, i.asset.ID)
			return err
		}},
		{"the file again", ams.Exists, func() error {
			_, err := i.a.AddIngestFile(t.Context(), ams.IngestFile{Manifest: i.manifest.ID, IngestAsset: i.in.ID, Name: "one.mp4"})
			return err
		}},
		{"a second primary file", ams.Conflict, func() error {
			_, err := i.a.AddIngestFile(t.Context(), ams.IngestFile{Manifest: i.manifest.ID, IngestAsset: i.in.ID, Name: "two.mp4", Primary: true})
			return err
		}},
		{"a bad name", ams.Invalid, func() error {
			_, err := i.a.AddIngestFile(t.Context(), ams.IngestFile{Manifest: i.manifest.ID, IngestAsset: i.in.ID, Name: "a.b.mp4"})
			return err
		}},
		{"an asset of another manifest", ams.Invalid, func() error {
			_, err := i.a.AddIngestFile(t.Context(), ams.IngestFile{Manifest: other.ID, IngestAsset: i.in.ID, Name: "two.mp4"})
			return err
		}},
	} {
		if err := tt.do(); err == nil || ams.CodeOf(err) != tt.code {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	// An asset in another storage account than the manifest.
	label := "b"
	err = i.s.Catalog.Update(t.Context(), func(tx *catalog.Tx) error {
		acc, err := tx.AccountByID(i.a.ID)
		if err != nil {
			return err
		}
		acc.Storage = append(acc.Storage, ams.AccountStorage{Name: store.Name})
		return tx.UpdateAccount(acc)
	})
	if err != nil {
		t.Fatal(err)
	}
	asset, err := firstAccount(t, i.s).NewAsset(t.Context(), account.AssetInput{Label: &label, StorageAccount: store.Name})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := i.a.AddIngestAsset(t.Context(), i.manifest.ID, asset.ID); ams.CodeOf(err) != ams.Conflict {
		t.Errorf("an asset in another storage account: %v", err)
	}
}
