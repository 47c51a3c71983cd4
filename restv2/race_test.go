package restv2_test

import (
	"fmt"
	"sync"
	"testing"
)

// atOnce sends n requests together and counts the statuses of the answers.
func atOnce(t *testing.T, w *world, n int, request func(i int) (method, path, body string)) map[int]int {
	t.Helper()
	codes := make([]int, n)
	var wait sync.WaitGroup
	for i := range n {
		wait.Go(func() {
			method, path, body := request(i)
			codes[i], _, _ = ask(t, w.Server, "Contributor", method, path, body)
		})
	}
	wait.Wait()
	counts := map[int]int{}
	for _, c := range codes {
		counts[c]++
	}
	return counts
}

// What there may be once there is once, however many ask for it at one time.
func TestRaces(t *testing.T) {
	c := newKeyClient(t)
	_, asset := create(t, c.Server, "Assets", `{"Name":"a"}`)
	_, other := create(t, c.Server, "Assets", `{"Name":"b","Options":1}`)
	_, access := create(t, c.Server, "AccessPolicies", `{"Name":"p","DurationInMinutes":60,"Permissions":1}`)
	manifest := c.made("IngestManifests", `{"Name":"m"}`)
	bulk := c.made("IngestManifestAssets", `{"ParentIngestManifestId":"`+manifest+`","Asset":{"Id":"`+asset+`"}}`)
	job := c.made("Jobs", chained(asset))
	var keys []string
	for i := range 2 {
		keys = append(keys, c.made("ContentKeys", fmt.Sprintf(`{"ContentKeyType":1,"EncryptedContentKey":%q}`, c.wrap([]byte(fmt.Sprintf("%032d", i))))))
	}
	same := c.keyBody(keyGUID, 4, []byte("0123456789abcdef"))
	const n = 8
	for _, tt := range []struct {
		what      string
		request   func(i int) (method, path, body string)
		good, bad int // statuses
		wins      int
	}{
		{"filters", func(int) (string, string, string) { return "POST", "Filters", `{"Name":"f"}` }, 201, 409, 1},
		{"asset filters", func(int) (string, string, string) {
			return "POST", "AssetFilters", `{"Name":"f","ParentAssetId":"` + asset + `"}`
		}, 201, 409, 1},
		{"endpoints", func(int) (string, string, string) { return "POST", "StreamingEndpoints", `{"Name":"e"}` }, 202, 409, 1},
		{"files of a name", func(int) (string, string, string) {
			return "POST", "Files", `{"Name":"f.mp4","ParentAssetId":"` + asset + `"}`
		}, 201, 409, 1},
		{"primary files", func(i int) (string, string, string) {
			return "POST", "Files", fmt.Sprintf(`{"Name":"p%d.mp4","IsPrimary":true,"ParentAssetId":%q}`, i, asset)
		}, 201, 409, 1},
		{"locators", func(i int) (string, string, string) {
			return "POST", "Locators", fmt.Sprintf(`{"AccessPolicyId":%q,"AssetId":%q,"Type":%d}`, access, asset, 1+i%2)
		}, 201, 409, 5},
		{"ids of keys", func(int) (string, string, string) { return "POST", "ContentKeys", same }, 201, 409, 1},
		{"storage keys", func(i int) (string, string, string) {
			return "POST", key("Assets", other) + "/$links/ContentKeys", `{"uri":"` + uri("ContentKeys", keys[i%2]) + `"}`
		}, 204, 409, 1},
		{"files of a manifest", func(int) (string, string, string) {
			return "POST", "IngestManifestFiles", fmt.Sprintf(`{"Name":"f","ParentIngestManifestId":%q,"ParentIngestManifestAssetId":%q}`, manifest, bulk)
		}, 201, 409, 1},
		{"cancels", func(int) (string, string, string) { return "GET", "CancelJob?jobid='" + job + "'", "" }, 204, 400, 1},
		{"deletes of a job", func(int) (string, string, string) { return "DELETE", key("Jobs", job), "" }, 204, 404, 1},
		{"deletes of an asset", func(int) (string, string, string) { return "DELETE", key("Assets", other), "" }, 204, 404, 1},
	} {
		if got := atOnce(t, c.world, n, tt.request); got[tt.good] != tt.wins || got[tt.bad] != n-tt.wins {
			t.Errorf("%s: %v, want %d of %d", tt.what, got, tt.wins, tt.good)
		}
	}

	// An asset takes along what is made for it while it is deleted.
	for i := range 4 {
		_, id := create(t, c.Server, "Assets", `{}`)
		atOnce(t, c.world, n, func(j int) (string, string, string) {
			switch j % 4 {
			case 0:
				return "DELETE", key("Assets", id), ""
			case 1:
				return "POST", "Locators", fmt.Sprintf(`{"AccessPolicyId":%q,"AssetId":%q,"Type":%d}`, access, id, 1+i%2)
			case 2:
				return "POST", "Files", fmt.Sprintf(`{"Name":"f%d.mp4","ParentAssetId":%q}`, j, id)
			}
			return "POST", "AssetFilters", fmt.Sprintf(`{"Name":"f%d","ParentAssetId":%q}`, j, id)
		})
		for set, property := range map[string]string{"Assets": "Id", "Locators": "AssetId", "Files": "ParentAssetId", "AssetFilters": "ParentAssetId"} {
			if got := names(t, c.Server, set+"?$filter="+property+"%20eq%20'"+id+"'", "Id"); got != "" {
				t.Errorf("left of a deleted asset: %s %s", set, got)
			}
		}
	}
}
