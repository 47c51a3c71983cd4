package e2e

import (
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	media "github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/mediaservices/armmediaservices/v3"
)

// TestWebhook configures a web hook and expects the states of a job in order.
func TestWebhook(t *testing.T) {
	t.Parallel()
	type event struct {
		Type, Subject string
		Data          struct{ State string }
	}
	events := make(chan event, 100)
	hook := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var e event
		if err := json.Unmarshal(body, &e); err != nil || r.Header.Get("Webhook-Signature") == "" {
			t.Errorf("%v, signature %q, body %s", err, r.Header.Get("Webhook-Signature"), body)
		}
		events <- e
	}))
	defer hook.Close()
	dir := t.TempDir()
	ca, config := filepath.Join(dir, "hook.pem"), filepath.Join(dir, "openams.yaml")
	for file, text := range map[string]string{
		ca:     string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: hook.Certificate().Raw})),
		config: "allow-input-host: [127.0.0.0/8]\nwebhooks:\n  - name: e2e\n    url: " + hook.URL + "\n    types: [Microsoft.Media.JobStateChange]\n",
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := startWith(t, "", []string{"SSL_CERT_FILE=" + ca}, "--config", config)
	c := newSDK(t, s, s.ClientID, s.ClientSecret)
	c.createAsset(t, "in")
	c.createAsset(t, "out")
	c.upload(t, "in", clip(t, "hook.mp4", "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25:duration=2", "-pix_fmt", "yuv420p"))
	c.createTransform(t, "abr", media.EncoderNamedPresetAdaptiveStreaming)
	c.submit(t, "abr", "j", "in", "out")
	for _, want := range []string{"Scheduled", "Processing", "Finished"} {
		select {
		case e := <-events:
			if e.Data.State != want || e.Type != "Microsoft.Media.JobStateChange" || e.Subject != "transforms/abr/jobs/j" {
				t.Errorf("got %+v, want state %s", e, want)
			}
		case <-time.After(time.Minute):
			t.Fatalf("no event %s within a minute", want)
		}
	}
}
