package e2e

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// TestV2Face asks the OData API with a token for the media resource, as v2
// clients get it.
func TestV2Face(t *testing.T) {
	t.Parallel()
	s := start(t, "", "--workers", "0")
	token := s.aad(t, "https://rest.media.chinacloudapi.cn/") // of whatever cloud
	get := func(path string, status int, want string) {
		t.Helper()
		req, err := http.NewRequest(http.MethodGet, s.V2Endpoint+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		for name, value := range map[string]string{"Authorization": "Bearer " + token, "Accept": "application/json",
			"DataServiceVersion": "1.0;NetFx", "MaxDataServiceVersion": "3.0;NetFx", "x-ms-version": "2.19"} {
			req.Header.Set(name, value)
		}
		resp, err := s.http.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != status || !strings.Contains(string(body), want) {
			t.Errorf("GET %s: %s %s, want %d with %q", path, resp.Status, body, status, want)
		}
	}
	get("MediaProcessors()?$filter=Name%20eq%20'Media%20Encoder%20Standard'", http.StatusOK, "nb:mpid:UUID:ff4df607-d419-42f0-bc17-a481b1331e56")
	get("StreamingEndpoints", http.StatusOK, `"Name":"default"`)
	get("Channels", http.StatusNotImplemented, "Channels")
}
