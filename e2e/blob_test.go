package e2e

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestBlobsWithJavaScriptSDK(t *testing.T) {
	t.Parallel()
	s := start(t, "")
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	if out := run(t, ctx, s.env(), "node", "js/blob.mjs", "test", s.BlobEndpoint, s.StorageAccountName, s.StorageKeys[0]); out != "ok\n" {
		t.Errorf("it said %s", out)
	}
}

func TestBlobsWithAzureCLI(t *testing.T) {
	t.Parallel()
	s := start(t, "")
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	out := run(t, ctx, s.env(), "./blob.sh", filepath.Join(s.dir, "endpoints.json"))
	for _, want := range []string{"a film.mp4\t3000000", "all/deep/long.mp4\t70000000", "<Name>all/notes.txt", "success", "true"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
}
