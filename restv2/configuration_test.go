package restv2_test

import (
	"cmp"
	"encoding/json"
	"encoding/xml"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestConfigurations: what a task was configured with is returned as it was
// sent, in every format, whether it names a preset or writes one out.
func TestConfigurations(t *testing.T) {
	w := openWorld(t)
	asset := input(t, w)
	processors := map[string]string{"mes": "ff4df607-d419-42f0-bc17-a481b1331e56", "ame": "1b1da727-93ae-4e46-a8a1-268828765609"}
	sent := [][2]string{{"mes", "H264 Multiple Bitrate 720p"}, {"ame", "H264 Broadband SD 4x3"}, {"mes", "\ufeff AAC Audio\t"}}
	written, err := filepath.Glob("../encoder/testdata/written/*/*.*")
	if err != nil || len(written) == 0 {
		t.Fatalf("no presets: %v", err)
	}
	for _, path := range written {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		kind := filepath.Base(filepath.Dir(path))
		sent = append(sent, [2]string{kind, string(b)}, [2]string{kind, "\ufeff" + strings.ReplaceAll(string(b), "\n", "\r\n") + "\r\n"})
	}
	for _, s := range sent {
		body, err := json.Marshal(map[string]any{"Name": "j", "InputMediaAssets@odata.bind": []string{uri("Assets", asset)},
			"Tasks": []map[string]any{{"MediaProcessorId": "nb:mpid:UUID:" + processors[s[0]], "Configuration": s[1],
				"TaskBody": "<taskBody><inputAsset>JobInputAsset(0)</inputAsset><outputAsset>JobOutputAsset(0)</outputAsset></taskBody>"}}})
		if err != nil {
			t.Fatal(err)
		}
		_, id := create(t, w.Server, "Jobs", string(body))
		task := key("Tasks", names(t, w.Server, key("Jobs", id)+"/Tasks", "Id"))
		for _, accept := range []string{"application/json", "application/json;odata=verbose", "application/atom+xml"} {
			r, err := http.NewRequestWithContext(t.Context(), "GET", w.URL+"/api/"+task, nil)
			if err != nil {
				t.Fatal(err)
			}
			for name, value := range map[string]string{"Accept": accept, "DataServiceVersion": "3.0", "MaxDataServiceVersion": "3.0", "x-ms-version": "2.19", "Authorization": "Bearer Reader"} {
				r.Header.Set(name, value)
			}
			resp, err := w.Client().Do(r)
			if err != nil {
				t.Fatal(err)
			}
			var got struct {
				Configuration string                         `xml:"content>properties>Configuration"`
				D             struct{ Configuration string } `xml:"-"`
			}
			if strings.HasSuffix(accept, "xml") {
				err = xml.NewDecoder(resp.Body).Decode(&got)
			} else {
				err = json.NewDecoder(resp.Body).Decode(&got)
			}
			resp.Body.Close()
			if c := cmp.Or(got.Configuration, got.D.Configuration); err != nil || resp.StatusCode != 200 || c != s[1] {
				t.Errorf("%.60q, as %s: %s, %v, %.300q", s[1], accept, resp.Status, err, c)
			}
		}
	}
}
