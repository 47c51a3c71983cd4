package restblob_test

import (
	"context"
	"encoding/base64"
	"net/http/httptest"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/service"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/blob"
	"github.com/openams/openams/blob/disk"
	"github.com/openams/openams/catalog"
	"github.com/openams/openams/restblob"
)

const account = "openamsstore"

var (
	key1 = []byte("0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef")
	key2 = []byte("fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210")
)

// keys are those of the account; zero: key1 and key2.
type keys struct{ first atomic.Pointer[[]byte] }

func (k *keys) StorageKeys(_ context.Context, name string) ([2][]byte, error) {
	if name != account {
		return [2][]byte{}, ams.Errorf(ams.NotFound, "no account %s", name)
	}
	if first := k.first.Load(); first != nil {
		return [2][]byte{*first, key2}, nil
	}
	return [2][]byte{key1, key2}, nil
}

// openStore opens the store of a data folder over the real catalog and disk.
func openStore(t testing.TB, dir string, o blob.Options) *blob.Store {
	db, err := catalog.Open(context.Background(), catalog.Config{Path: filepath.Join(dir, "openams.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	driver, err := disk.New(filepath.Join(dir, "blobs"))
	if err != nil {
		t.Fatal(err)
	}
	store := blob.New(db, driver, o)
	if _, err := store.Recover(context.Background()); err != nil {
		t.Fatal(err)
	}
	return store
}

// An endpoint is a running server with a client of the official SDK.
type endpoint struct {
	dir    string
	store  *blob.Store
	server *httptest.Server
	url    string // of the account
	client *azblob.Client
	cred   *azblob.SharedKeyCredential
	now    time.Time // zero: the real time

	patience time.Duration
	keys     keys
	users    users
	outgoing restblob.Outgoing
	room     blob.Room
	clock    atomic.Int64 // how far the store's clock is ahead, in ns
}

// users may sign by tokens of theirs; the value is what they may do now.
type users struct{ rights sync.Map }

func (u *users) StorageUser(_ context.Context, _, token string) (object, tenant string, err error) {
	if _, ok := u.rights.Load(token); !ok {
		return "", "", ams.Errorf(ams.Forbidden, "no such token")
	}
	return token, "tenant", nil
}

func (u *users) StorageRights(_ context.Context, _, object, _ string) (read, write bool, err error) {
	may, ok := u.rights.Load(object)
	if !ok {
		return false, false, ams.Errorf(ams.Forbidden, "no such user")
	}
	return may.([2]bool)[0], may.([2]bool)[1], nil
}

// tokens are what may be done, by account and token.
type tokens map[string][2]bool

func (m tokens) CheckStorage(_ context.Context, on, token string) (read, write bool, err error) {
	may, ok := m[on+" "+token]
	if !ok {
		return false, false, ams.Errorf(ams.Forbidden, "no such token")
	}
	return may[0], may[1], nil
}

func serve(t testing.TB) *endpoint {
	t.Helper()
	return serveDir(t, t.TempDir())
}

func serveDir(t testing.TB, dir string) *endpoint {
	t.Helper()
	return (&endpoint{dir: dir}).start(t)
}

func (e *endpoint) start(t testing.TB) *endpoint {
	t.Helper()
	now := func() time.Time {
		if !e.now.IsZero() {
			return e.now
		}
		return time.Now().Add(time.Duration(e.clock.Load()))
	}
	e.store = openStore(t, e.dir, blob.Options{Now: now, Room: e.room})
	e.server = httptest.NewServer(restblob.New(restblob.Config{
		Store: e.store, Keys: &e.keys, Bearer: tokens{account + " reader": {true, false}, account + " writer": {true, true}, account + " stranger": {}},
		Delegates: &e.users, Secret: []byte("secret"), Outgoing: e.outgoing, Origins: []string{"https://portal.example"},
		Patience: e.patience, Now: now,
	}))
	t.Cleanup(e.server.Close)
	e.url = e.server.URL + "/" + account
	e.cred = credential(t, key1)
	e.client = newClient(t, e.url, e.cred)
	return e
}

func credential(t testing.TB, key []byte) *azblob.SharedKeyCredential {
	c, err := azblob.NewSharedKeyCredential(account, b64(key))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// once is the SDK without its retries, which would hide a wrong status.
var once = azcore.ClientOptions{Retry: policy.RetryOptions{MaxRetries: -1}}

func newClient(t testing.TB, url string, cred *azblob.SharedKeyCredential) *azblob.Client {
	c, err := azblob.NewClientWithSharedKeyCredential(url, cred, &azblob.ClientOptions{ClientOptions: once})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (e *endpoint) service() *service.Client { return e.client.ServiceClient() }

func b64(b []byte) string { return base64.StdEncoding.EncodeToString(b) }
