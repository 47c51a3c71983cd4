package disk

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/blob"
	"github.com/openams/openams/blob/blobtest"
)

var ctx = context.Background()

func TestFileName(t *testing.T) {
	for _, tt := range []struct{ blob, want string }{
		{"clip.mp4", "clip.mp4"},
		{"My Clip (1).mp4", "My Clip (1).mp4"},
		{"dir/clip.mp4", "dir%2Fclip.mp4"},
		{"..", "%2E%2E"},
		{".hidden", "%2Ehidden"},
		{"../../etc/passwd", "%2E.%2F..%2Fetc%2Fpasswd"},
		{"a\x00b", "a%00b"},
		{"50%", "50%25"},
		{"clip~2.mp4", "clip%7E2.mp4"},
		{"-rf", "%2Drf"},
		{"CON.txt", "%43ON.txt"},
		{"nul", "%6Eul"},
		{"console.mp4", "console.mp4"},
		{"end.", "end%2E"},
		{"日本語.mp4", "日本語.mp4"},
		{"\u202egnp.exe", "%E2%80%AEgnp.exe"},
		{"\xff", "%FF"},
		{strings.Repeat("x", 1000) + ".mp4", strings.Repeat("x", 196) + ".mp4"},
	} {
		if got := fileName(tt.blob); got != tt.want {
			t.Errorf("%q is kept as %q, want %q", tt.blob, got, tt.want)
		}
	}
}

func checkName(t *testing.T, name string) {
	for try := range 10 {
		file := fileName(name)
		if try > 0 {
			file = version(file, try)
		}
		if file == "" || len(file) > 255 || strings.ContainsAny(file, "/\\\x00") || strings.HasPrefix(file, ".") ||
			filepath.Base(file) != file || utf8.ValidString(name) && !utf8.ValidString(file) {
			t.Errorf("%q is kept as %q", name, file)
		}
	}
}

func FuzzFileName(f *testing.F) {
	for _, name := range blobtest.Strange {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if name != "" {
			checkName(t, name)
		}
	})
}

func write(t *testing.T, d *Driver, place blob.Place, text string) string {
	t.Helper()
	up, err := d.Create(ctx, place)
	if err != nil {
		t.Fatal(err)
	}
	defer up.Abort()
	if _, err := up.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	file, err := up.Commit(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func holds(t *testing.T, d *Driver, file, want string) {
	t.Helper()
	path, _ := d.LocalPath(file)
	if got, err := os.ReadFile(path); err != nil || string(got) != want {
		t.Errorf("%s holds %q, %v; want %q", file, got, err, want)
	}
}

// Two files of one place never share a name, whichever goes first.
func TestVersions(t *testing.T) {
	d, err := New(filepath.Join(t.TempDir(), "blobs"))
	if err != nil {
		t.Fatal(err)
	}
	place := blob.Place{Account: "acct", Container: "cont", Blob: "clip.mp4"}
	one, two := write(t, d, place, "1"), write(t, d, place, "2")
	if one != "acct/cont/clip.mp4" || two != "acct/cont/clip~2.mp4" {
		t.Errorf("kept as %s and %s", one, two)
	}
	if err := d.Remove(ctx, one); err != nil {
		t.Fatal(err)
	}
	three := write(t, d, place, "3")
	if three != one {
		t.Errorf("the plain name is free, but %s was taken", three)
	}
	seen := map[string]bool{two: true, three: true}
	for range 30 {
		f := write(t, d, place, "x")
		if seen[f] {
			t.Fatalf("%s twice", f)
		}
		seen[f] = true
	}
	holds(t, d, two, "2")
	holds(t, d, three, "3")
	linked, err := d.Link(ctx, two, 1, blob.Place{Account: "acct", Container: "cont", Blob: "copy"})
	if err != nil {
		t.Fatal(err)
	}
	d.Remove(ctx, two)
	holds(t, d, linked, "2")
	if _, err := d.Link(ctx, linked, 2, place); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("a link to part of a file: %v", err)
	}
	if err := d.Remove(ctx, "acct/cont/absent"); err != nil {
		t.Errorf("remove an absent file: %v", err)
	}
}

func TestRecover(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "blobs")
	d, err := New(dir)
	if err != nil {
		t.Fatal(err)
	}
	place := blob.Place{Account: "acct", Container: "cont", Blob: "clip.mp4"}
	block := blob.Place{Account: "acct", Container: "cont", Blob: "clip.mp4", Staged: true}
	kept, orphan := write(t, d, place, "kept"), write(t, d, place, "orphan")
	keptBlock, orphanBlock := write(t, d, block, "kept block"), write(t, d, block, "orphan block")
	half, err := d.Create(ctx, place) // a process that died while writing
	if err != nil {
		t.Fatal(err)
	}
	half.Write([]byte("half"))
	lonely := write(t, d, blob.Place{Account: "acct", Container: "gone", Blob: "x"}, "lonely")
	old := filepath.Join(dir, orphansDir, "2001-01-01", "acct")
	if err := os.MkdirAll(old, 0o700); err != nil {
		t.Fatal(err)
	}
	found, err := d.Recover(ctx, func(f string) bool { return f == kept || f == keptBlock })
	if err != nil || found.Removed != 2 || found.Aside != 2 {
		t.Errorf("recovered %+v, %v", found, err)
	}
	holds(t, d, kept, "kept")
	holds(t, d, keptBlock, "kept block")
	day := time.Now().UTC().Format(time.DateOnly)
	holds(t, d, filepath.Join(orphansDir, day, orphan), "orphan")
	holds(t, d, filepath.Join(orphansDir, day, lonely), "lonely")
	for _, f := range []string{orphan, orphanBlock, lonely, filepath.Join("acct", "gone"), filepath.Join(orphansDir, "2001-01-01")} {
		if _, err := os.Stat(filepath.Join(dir, f)); !os.IsNotExist(err) {
			t.Errorf("%s is still there: %v", f, err)
		}
	}
	if left, _ := os.ReadDir(filepath.Join(dir, tmpDir)); len(left) != 0 {
		t.Errorf("%d unfinished files are left", len(left))
	}
	write(t, d, place, "again") // the folder still works
}

// A device that is always full gives the error of a real full disk.
func TestFullDisk(t *testing.T) {
	f, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("no /dev/full here")
	}
	u := &upload{f: f}
	if _, err := u.Write([]byte("x")); !errors.Is(err, ams.ErrStorageFull) {
		t.Errorf("write on a full disk: %v", err)
	}
	f.Close()
}

// What somebody put in the place of a blob's file is not read: not what a link
// leads to, nor a pipe, which would wait for ever.
func TestOtherThanFiles(t *testing.T) {
	dir := t.TempDir()
	d, err := New(filepath.Join(dir, "blobs"))
	if err != nil {
		t.Fatal(err)
	}
	secret := filepath.Join(dir, "secret")
	if err := os.WriteFile(secret, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	place := blob.Place{Account: "acct", Container: "cont", Blob: "clip.mp4"}
	for name, put := range map[string]func(path string) error{
		"link":      func(path string) error { return os.Symlink(secret, path) },
		"pipe":      func(path string) error { return syscall.Mkfifo(path, 0o600) },
		"directory": func(path string) error { return os.Mkdir(path, 0o700) },
	} {
		t.Run(name, func(t *testing.T) {
			file := write(t, d, place, "x")
			path, _ := d.LocalPath(file)
			if err := errors.Join(os.Remove(path), put(path)); err != nil {
				t.Fatal(err)
			}
			opened := make(chan error, 1)
			go func() {
				f, err := d.Open(ctx, file)
				if err == nil {
					f.Close()
				}
				opened <- err
			}()
			select {
			case err := <-opened:
				if err == nil {
					t.Error("it is read")
				}
			case <-time.After(10 * time.Second):
				t.Error("it is waited for")
			}
			if to, err := d.Link(ctx, file, 1, place); err == nil {
				t.Errorf("it is linked as %s", to)
			}
		})
	}
}
