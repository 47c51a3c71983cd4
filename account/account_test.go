package account_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/openams/openams/account"
	"github.com/openams/openams/ams"
	"github.com/openams/openams/blob"
	"github.com/openams/openams/blob/disk"
	"github.com/openams/openams/catalog"
	"github.com/openams/openams/identity"
)

// open makes a Server on the data folder dir, as a start of the process does.
func open(t *testing.T, dir string, tune func(*account.Config)) *account.Server {
	t.Helper()
	db, err := catalog.Open(t.Context(), catalog.Config{Path: filepath.Join(dir, "openams.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	driver, err := disk.New(filepath.Join(dir, "blobs"))
	if err != nil {
		t.Fatal(err)
	}
	c := account.Config{
		Catalog: db, Blobs: blob.New(db, driver, blob.Options{}),
		BlobEndpoint: "http://127.0.0.1:10000/", StreamingHost: "localhost:8888",
	}
	if tune != nil {
		tune(&c)
	}
	s := account.New(c)
	t.Cleanup(s.Close)
	if err := s.EnsureFirst(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	return s
}

var first = account.First{
	SubscriptionID: "5b1c9e0a-0000-4000-8000-000000000001", ResourceGroup: "openams",
	Account: "openams", Location: "local", StorageAccount: "openamsstore",
}

func firstAccount(t *testing.T, s *account.Server) *account.Account {
	t.Helper()
	a, err := s.Account(t.Context(), strings.ToUpper(first.SubscriptionID), "OpenAMS", "OPENAMS")
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// TestRestart starts twice on one folder, the second time on another port.
func TestRestart(t *testing.T) {
	dir, ctx := t.TempDir(), t.Context()
	s := open(t, dir, nil)
	before := firstAccount(t, s)
	keys, err := s.StorageKeys(ctx, first.StorageAccount)
	if err != nil || len(keys[0]) != 64 || string(keys[0]) == string(keys[1]) {
		t.Fatalf("keys of %d and %d bytes, %v", len(keys[0]), len(keys[1]), err)
	}
	if e, err := before.Endpoint(ctx, "Default"); err != nil || e.State != ams.EndpointRunning || e.HostName != "localhost:8888" {
		t.Errorf("the endpoint after the first start: %+v, %v", e, err)
	}
	op, err := before.StopEndpoint(ctx, "default")
	if err != nil {
		t.Fatal(err)
	}
	s.Close()

	s = open(t, dir, func(c *account.Config) { c.StreamingHost = "localhost:9999" })
	after := firstAccount(t, s)
	if after.ID != before.ID {
		t.Errorf("account %s became %s", before.ID, after.ID)
	}
	if again, err := s.StorageKeys(ctx, first.StorageAccount); err != nil || string(again[0]) != string(keys[0]) || string(again[1]) != string(keys[1]) {
		t.Errorf("the storage keys changed, %v", err)
	}
	if e, err := after.Endpoint(ctx, "default"); err != nil || e.HostName != "localhost:9999" || e.State != ams.EndpointStopped {
		t.Errorf("the endpoint after the second start: %+v, %v", e, err)
	}
	if op, err := after.Operation(ctx, account.EndpointOperations, strings.ToUpper(op.ID)); err != nil || op.Status != ams.OperationSucceeded {
		t.Errorf("the operation after the second start: %+v, %v", op, err)
	}
	for _, address := range [][3]string{
		{first.SubscriptionID, "openams", "other"}, {first.SubscriptionID, "other", "openams"}, {"other", "openams", "openams"},
	} {
		if _, err := s.Account(ctx, address[0], address[1], address[2]); ams.CodeOf(err) != ams.NotFound {
			t.Errorf("Account(%v): %v", address, err)
		}
	}
}

// TestCreateAssetAtOnce lets many create one asset: one creates, the others
// update, and no container is left over.
func TestCreateAssetAtOnce(t *testing.T) {
	var blobs *blob.Store
	s := open(t, t.TempDir(), func(c *account.Config) { blobs = c.Blobs })
	a, ctx := firstAccount(t, s), t.Context()
	var wg sync.WaitGroup
	var mu sync.Mutex
	made := 0
	for i := range 8 {
		wg.Go(func() {
			name := []string{"clip", "CLIP"}[i%2]
			_, created, err := a.CreateOrUpdateAsset(ctx, name, account.AssetInput{})
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			mu.Lock()
			defer mu.Unlock()
			if created {
				made++
			}
		})
	}
	wg.Wait()
	containers, err := blobs.Containers(ctx, first.StorageAccount, blob.ListOptions{})
	if err != nil || made != 1 || len(containers.Containers) != 1 {
		t.Errorf("created %d times, %d containers, %v", made, len(containers.Containers), err)
	}
}

// TestPathsOfSchemes lists what exists of each encryption, and nothing else.
func TestPathsOfSchemes(t *testing.T) {
	var blobs *blob.Store
	s := open(t, t.TempDir(), func(c *account.Config) { blobs = c.Blobs })
	a, ctx := firstAccount(t, s), t.Context()
	asset, _, err := a.CreateOrUpdateAsset(ctx, "clip", account.AssetInput{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := blobs.Put(ctx, asset.StorageAccount, asset.Container, "f.ism", strings.NewReader("<smil/>"), blob.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	open := ams.ContentKeyPolicyOption{
		Configuration: []byte(`{"@odata.type":"#Microsoft.Media.ContentKeyPolicyClearKeyConfiguration"}`),
		Restriction:   []byte(`{"@odata.type":"#Microsoft.Media.ContentKeyPolicyOpenRestriction"}`),
	}
	if _, _, err := a.CreateOrUpdateContentKeyPolicy(ctx, "keys", account.ContentKeyPolicyInput{Options: []ams.ContentKeyPolicyOption{open}}); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ scheme, want string }{
		{"envelopeEncryption", "(format=m3u8-aapl,encryption=cbc) (format=m3u8-cmaf,encryption=cbc)"},
		{"commonEncryptionCenc", "(format=m3u8-cmaf,encryption=cenc)"},
		{"commonEncryptionCbcs", "(format=m3u8-aapl,encryption=cbcs-aapl) (format=m3u8-cmaf,encryption=cbcs-aapl)"},
	} {
		body := `{"` + tt.scheme + `":{"enabledProtocols":{"hls":true},"contentKeys":{"defaultKey":{"label":"k"}}}}`
		if _, err := a.CreatePolicy(ctx, tt.scheme, "keys", []byte(body)); err != nil {
			t.Fatal(err)
		}
		l, err := a.CreateLocator(ctx, tt.scheme, account.LocatorRequest{Asset: "clip", Policy: tt.scheme})
		if err != nil {
			t.Fatal(err)
		}
		p, err := a.Paths(ctx, tt.scheme)
		if err != nil || len(p.Streaming) != 1 {
			t.Fatalf("%s: %+v, %v", tt.scheme, p, err)
		}
		got := strings.ReplaceAll(strings.Join(p.Streaming[0].Paths, " "), "/"+l.ID+"/f.ism/manifest", "")
		if got != tt.want {
			t.Errorf("%s: %s, want %s", tt.scheme, got, tt.want)
		}
	}
}

// TestDeleteAssetAgain deletes an asset whose container somebody deleted by the
// storage API.
func TestDeleteAssetAgain(t *testing.T) {
	var blobs *blob.Store
	s := open(t, t.TempDir(), func(c *account.Config) { blobs = c.Blobs })
	a, ctx := firstAccount(t, s), t.Context()
	asset, _, err := a.CreateOrUpdateAsset(ctx, "clip", account.AssetInput{})
	if err != nil {
		t.Fatal(err)
	}
	l, err := a.CreateLocator(ctx, "l", account.LocatorRequest{Asset: "clip", Policy: "Predefined_DownloadOnly"})
	if err != nil {
		t.Fatal(err)
	}
	if err := blobs.DeleteContainer(ctx, asset.StorageAccount, asset.Container, blob.Conditions{}); err != nil {
		t.Fatal(err)
	}
	if p, err := a.Paths(ctx, "l"); err != nil || p.Streaming != nil || p.Download != nil {
		t.Errorf("paths without a container: %+v, %v", p, err)
	}
	if existed, err := a.DeleteAsset(ctx, "CLIP"); !existed || err != nil {
		t.Errorf("deleting again: %v, %v", existed, err)
	}
	if _, err := s.ResolveLocator(ctx, "", l.ID); ams.CodeOf(err) != ams.NotFound {
		t.Errorf("the locator of a deleted asset: %v", err)
	}
	if existed, err := a.DeleteAsset(ctx, "clip"); existed || err != nil {
		t.Errorf("deleting what is gone: %v, %v", existed, err)
	}
}

// TestDeleteAssetWhole refuses a deletion half way: locators, blobs and asset are
// as they were. Several at one time delete an asset once.
func TestDeleteAssetWhole(t *testing.T) {
	var blobs *blob.Store
	s := open(t, t.TempDir(), func(c *account.Config) { blobs = c.Blobs })
	a, ctx := firstAccount(t, s), t.Context()
	asset, _, err := a.CreateOrUpdateAsset(ctx, "clip", account.AssetInput{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.CreateLocator(ctx, "l", account.LocatorRequest{Asset: "clip", Policy: "Predefined_DownloadOnly"}); err != nil {
		t.Fatal(err)
	}
	if _, err := blobs.Put(ctx, asset.StorageAccount, asset.Container, "f.mp4", strings.NewReader("bytes"), blob.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	const lease = "9b1deb4d-3b7d-4bad-9bdd-2b0d7b3dcb6d"
	if _, err := blobs.LeaseContainer(ctx, asset.StorageAccount, asset.Container, blob.Conditions{}, blob.AcquireLease(lease, -1)); err != nil {
		t.Fatal(err)
	}
	if _, err := a.DeleteAsset(ctx, "clip"); err == nil { // the locator was deleted before the container refused
		t.Fatal("the container is leased")
	}
	if _, err := a.Locator(ctx, "l"); err != nil {
		t.Errorf("the locator of an asset that could not be deleted: %v", err)
	}
	if r, err := blobs.Open(ctx, asset.StorageAccount, asset.Container, "f.mp4"); err != nil {
		t.Errorf("its bytes: %v", err)
	} else {
		r.Close()
	}
	if _, err := blobs.LeaseContainer(ctx, asset.StorageAccount, asset.Container, blob.Conditions{}, blob.ReleaseLease(lease)); err != nil {
		t.Fatal(err)
	}
	var deleted atomic.Int32
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			existed, err := a.DeleteAsset(ctx, "clip")
			if err != nil {
				t.Error(err)
			}
			if existed {
				deleted.Add(1)
			}
		})
	}
	wait.Wait()
	if n := deleted.Load(); n != 1 {
		t.Errorf("deleted %d times", n)
	}
	if _, err := blobs.Container(ctx, asset.StorageAccount, asset.Container); !errors.Is(err, ams.ErrContainerNotFound) {
		t.Errorf("its container: %v", err)
	}
}

// TestResolveStopped: a stopped endpoint publishes nothing.
func TestResolveStopped(t *testing.T) {
	s := open(t, t.TempDir(), nil)
	a, ctx := firstAccount(t, s), t.Context()
	if _, _, err := a.CreateOrUpdateAsset(ctx, "clip", account.AssetInput{}); err != nil {
		t.Fatal(err)
	}
	l, err := a.CreateLocator(ctx, "l", account.LocatorRequest{Asset: "clip", Policy: "Predefined_ClearStreamingOnly", Start: time.Now().Add(-time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	if p, err := s.ResolveLocator(ctx, "", "{"+strings.ToUpper(strings.ReplaceAll(l.ID, "-", ""))+"}"); err != nil || p.Locator.Name != "l" {
		t.Errorf("published: %+v, %v", p, err)
	}
	if _, err := a.StopEndpoint(ctx, "default"); err != nil {
		t.Fatal(err)
	}
	s.Close()
	if _, err := s.ResolveLocator(ctx, "", l.ID); ams.CodeOf(err) != ams.Unavailable {
		t.Errorf("stopped: %v", err)
	}
}

// TestLimits fills up what has a documented limit.
func TestLimits(t *testing.T) {
	s := open(t, t.TempDir(), nil)
	a, ctx := firstAccount(t, s), t.Context()
	if _, _, err := a.CreateOrUpdateAsset(ctx, "clip", account.AssetInput{}); err != nil {
		t.Fatal(err)
	}
	outputs := []ams.TransformOutput{{Preset: ams.Preset{Type: ams.BuiltIn, Body: []byte(`{"presetName":"AdaptiveStreaming"}`)}}}
	for what, make := range map[string]func(name string) error{
		"transforms": func(name string) error {
			_, _, err := a.CreateOrUpdateTransform(ctx, name, account.TransformInput{Outputs: outputs})
			return err
		},
		"locators": func(name string) error {
			_, err := a.CreateLocator(ctx, name, account.LocatorRequest{Asset: "clip", Policy: "Predefined_DownloadOnly"})
			return err
		},
		"policies": func(name string) error {
			_, err := a.CreatePolicy(ctx, name, "", []byte(`{"noEncryption":{"enabledProtocols":{"hls":true}}}`))
			return err
		},
	} {
		for i := range 100 {
			if err := make(fmt.Sprint("n", i)); err != nil {
				t.Fatalf("%s %d: %v", what, i, err)
			}
		}
		if err := make("one more"); ams.CodeOf(err) != ams.Limit {
			t.Errorf("the 101st of %s: %v", what, err)
		}
		if err := make("n99"); err != nil {
			t.Errorf("%s: the same again: %v", what, err)
		}
	}
}

// TestPolicyLimits: what v2 makes has limits that are configured.
func TestPolicyLimits(t *testing.T) {
	s := open(t, t.TempDir(), func(c *account.Config) {
		c.Limits = account.Limits{AccessPolicies: 2, KeyPolicies: 2, KeyPolicyOptions: 2, DeliveryPolicies: 2, ContentKeys: 2}
	})
	a, ctx := firstAccount(t, s), t.Context()
	public, err := a.ProtectionKey(ctx, must(a.ProtectionKeyID(ctx)))
	if err != nil {
		t.Fatal(err)
	}
	certificate := must(x509.ParseCertificate(public))
	wrapped := base64.StdEncoding.EncodeToString(must(rsa.EncryptOAEP(sha1.New(), rand.Reader, certificate.PublicKey.(*rsa.PublicKey), make([]byte, 16), nil)))
	open := ams.ContentKeyPolicyOption{Configuration: []byte(`{"@odata.type":"#Microsoft.Media.ContentKeyPolicyClearKeyConfiguration"}`), Restriction: []byte(`{"@odata.type":"#Microsoft.Media.ContentKeyPolicyOpenRestriction"}`)}
	for what, make := range map[string]func(i int) error{
		"access policies": func(int) error {
			_, err := a.CreateAccessPolicy(ctx, ams.LocatorPolicy{Name: "p", Minutes: 60, Permissions: 1})
			return err
		},
		"content key policies": func(i int) error {
			if i%2 == 0 {
				_, err := a.NewContentKeyPolicy(ctx, "label")
				return err
			}
			_, _, err := a.CreateOrUpdateContentKeyPolicy(ctx, fmt.Sprint("n", i), account.ContentKeyPolicyInput{Options: []ams.ContentKeyPolicyOption{open}})
			return err
		},
		"options": func(int) error {
			_, err := a.CreatePolicyOption(ctx, open)
			return err
		},
		"delivery policies": func(int) error {
			_, err := a.CreateDeliveryPolicy(ctx, ams.DeliveryPolicy{Protocols: 1, Type: 2})
			return err
		},
		"content keys": func(int) error {
			_, err := a.CreateKey(ctx, "", ams.CommonKey, account.KeyInput{Wrapped: &wrapped})
			return err
		},
	} {
		for i := range 2 {
			if err := make(i); err != nil {
				t.Errorf("%s: %v", what, err)
			}
		}
		for i := range 2 {
			if err := make(2 + i); ams.CodeOf(err) != ams.Limit {
				t.Errorf("the third of %s: %v", what, err)
			}
		}
	}
	if _, created, err := a.CreateOrUpdateContentKeyPolicy(ctx, "n1", account.ContentKeyPolicyInput{Options: []ams.ContentKeyPolicyOption{open}}); err != nil || created {
		t.Errorf("an update when all places are taken: %v %v", created, err)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// TestCaller: whoever calls is written down.
func TestCaller(t *testing.T) {
	s := open(t, t.TempDir(), nil)
	a := firstAccount(t, s)
	as := func(p *identity.Principal) context.Context { return identity.NewContext(t.Context(), p) }
	if _, _, err := a.CreateOrUpdateAsset(as(&identity.Principal{AppID: "app"}), "clip", account.AssetInput{}); err != nil {
		t.Fatal(err)
	}
	asset, err := a.UpdateAsset(as(&identity.Principal{ID: "x", AppID: "program", Name: "person", Kind: identity.User}), "clip", account.AssetInput{})
	if err != nil || asset.CreatedBy != "app" || asset.LastModifiedBy != "User person" {
		t.Errorf("%+v, %v", asset, err)
	}
}

// TestInternalErrors: a failure of ours keeps its kind on the way up.
func TestInternalErrors(t *testing.T) {
	s := open(t, t.TempDir(), func(c *account.Config) {
		c.Supports = func(ams.Preset) error { return errors.New("the encoder is broken") }
	})
	a, ctx := firstAccount(t, s), t.Context()
	for _, name := range []string{"in", "out"} {
		if _, _, err := a.CreateOrUpdateAsset(ctx, name, account.AssetInput{}); err != nil {
			t.Fatal(err)
		}
	}
	preset := ams.Preset{Type: ams.BuiltIn, Body: []byte(`{"presetName":"AdaptiveStreaming"}`)}
	if _, _, err := a.CreateOrUpdateTransform(ctx, "t", account.TransformInput{Outputs: []ams.TransformOutput{{Preset: preset}}}); err != nil {
		t.Fatal(err)
	}
	_, err := a.SubmitJob(ctx, "t", "j", account.JobRequest{
		Input: ams.JobInput{Kind: ams.InputAsset, Asset: "in"}, Outputs: []account.JobOutput{{Asset: "out"}},
	})
	if ams.CodeOf(err) != ams.Internal || err == nil {
		t.Errorf("SubmitJob: %v", err)
	}
}

func TestHTTPInput(t *testing.T) {
	for _, tt := range []struct{ base, file, want string }{
		{"", "https://h/a.mp4", "https://h/a.mp4"},
		{"https://h/d/", "a.mp4", "https://h/d/a.mp4"},
		{"https://h/d", "a.mp4", "https://h/d/a.mp4"},
		{"https://h/d", "/a.mp4", "https://h/d/a.mp4"},
	} {
		if got := account.HTTPInput(ams.JobInput{BaseURI: tt.base, Files: []string{tt.file}}, 0); got != tt.want {
			t.Errorf("%q + %q = %q", tt.base, tt.file, got)
		}
	}
}
