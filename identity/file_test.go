package identity

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/crypto/bcrypt"
)

// Two processes have the folder open, here two values: a lock belongs to what
// opened the file.
func TestFolderIsShared(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "secrets")
	open := func() *Folder {
		f, err := Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		f.cost = bcrypt.MinCost
		return f
	}
	server, admin := open(), open()
	ctx := t.Context()

	id, secret, err := admin.Create("robot", Application, []Assignment{{Reader, "/"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := server.Authenticate(ctx, id, secret); err != nil {
		t.Errorf("created: %v", err)
	}
	if _, newer, err := admin.Rotate("robot"); err != nil {
		t.Error(err)
	} else if _, err := server.Authenticate(ctx, id, secret); !errors.Is(err, ErrSecret) {
		t.Errorf("the old secret: %v", err)
	} else if _, err := server.Authenticate(ctx, id, newer); err != nil {
		t.Errorf("the new secret: %v", err)
	}
	if err := admin.Delete("robot"); err != nil {
		t.Error(err)
	}
	if _, err := server.Principal(ctx, id); !errors.Is(err, ErrNoPrincipal) {
		t.Errorf("deleted: %v", err)
	}
	for _, err := range []error{admin.Delete("robot"), second(admin.Rotate("robot")), admin.SetPassword("x", "long enough"), admin.DeletePerson("x")} {
		if !errors.Is(err, ErrNoPrincipal) {
			t.Errorf("nobody: %v", err)
		}
	}
	// A kept secret stays kept.
	if _, _, err := server.Ensure("demo", Contributor); err != nil {
		t.Fatal(err)
	}
	_, rotated, err := admin.Rotate("demo")
	if err != nil {
		t.Fatal(err)
	}
	if _, again, err := server.Ensure("demo", Contributor); err != nil || again != rotated {
		t.Errorf("Ensure after Rotate: %v", err)
	}

	if _, err := admin.CreatePerson("alice", "", "password1", []Assignment{{Reader, "/"}}); err != nil {
		t.Fatal(err)
	}
	if p, err := server.SignIn(ctx, "ALICE", "password1"); err != nil || p.Kind != User || p.TenantID != server.TenantID {
		t.Errorf("%+v, %v", p, err)
	}
	if err := admin.SetPassword("Alice", "password2"); err != nil {
		t.Error(err)
	}
	if _, err := server.SignIn(ctx, "alice", "password1"); !errors.Is(err, ErrSecret) {
		t.Errorf("the old password: %v", err)
	}
	for name, err := range map[string]error{
		"taken":   third(admin.CreatePerson("ALICE", "", "password1", nil)),
		"short":   third(admin.CreatePerson("bob", "", "short", nil)),
		"blank":   third(admin.CreatePerson("b ob", "", "password1", nil)),
		"unnamed": third(admin.CreatePerson("", "", "password1", nil)),
		"role":    third(admin.CreatePerson("bob", "", "password1", []Assignment{{"King", "/"}})),
		"kind":    second(admin.Create("bob", User, nil)),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}

	// Nothing is lost when both write at once.
	var wg sync.WaitGroup
	for _, f := range []*Folder{server, admin} {
		for i := range 20 {
			wg.Go(func() {
				if _, _, err := f.Create(fmt.Sprintf("p-%p-%d", f, i), Application, nil); err != nil {
					t.Error(err)
				}
				if _, err := f.Principal(ctx, id); !errors.Is(err, ErrNoPrincipal) {
					t.Error(err)
				}
			})
		}
	}
	wg.Wait()
	if all, err := server.Principals(); err != nil || len(all) != 41 {
		t.Errorf("%d principals, %v", len(all), err)
	}

	// A file that cannot be read lets nobody in.
	if err := os.WriteFile(filepath.Join(dir, peopleFile), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := server.SignIn(ctx, "alice", "password2"); err == nil || errors.Is(err, ErrSecret) {
		t.Errorf("broken file: %v", err)
	}
}

func second(_, _ string, err error) error { return err }

func third[T any](_ T, err error) error { return err }

// What root changes stays readable to the user of the server.
func TestRootGivesFilesAway(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("not root")
	}
	dir := filepath.Join(t.TempDir(), "secrets")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(dir, 65534, 65534); err != nil {
		t.Fatal(err)
	}
	f, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := f.Create("robot", Application, nil); err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 5 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		st, err := file.Info()
		if err != nil {
			t.Fatal(err)
		}
		if owner := st.Sys().(*syscall.Stat_t); owner.Uid != 65534 || owner.Gid != 65534 {
			t.Errorf("%s belongs to %d:%d", file.Name(), owner.Uid, owner.Gid)
		}
	}
}
