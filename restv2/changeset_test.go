package restv2_test

import (
	"net/http"
	"strings"
	"testing"
)

// changeset wraps operations, each a request line and a body, as a $batch of
// one changeset.
func changeset(ops ...[2]string) string {
	var b strings.Builder
	b.WriteString("--batch_1\r\nContent-Type: multipart/mixed; boundary=changeset_1\r\n\r\n")
	for i, op := range ops {
		b.WriteString("--changeset_1\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n" + op[0] + " HTTP/1.1\r\nContent-ID: " + string(rune('1'+i)) +
			"\r\nContent-Type: application/json\r\nAccept: application/json\r\nx-ms-version: 2.19\r\n\r\n" + op[1] + "\r\n")
	}
	b.WriteString("--changeset_1--\r\n--batch_1--\r\n")
	return b.String()
}

// A changeset of several entities happens whole or not at all.
func TestChangesetIsAtomic(t *testing.T) {
	s := newServer(t)
	post := func(ops ...[2]string) string {
		t.Helper()
		code, body := send(t, "POST", s.URL+"/api/$batch", changeset(ops...), http.Header{"Content-Type": {"multipart/mixed; boundary=batch_1"}, "Accept": {"multipart/mixed"}})
		if code != 202 {
			t.Fatalf("%d %s", code, body)
		}
		return body
	}
	asset := [2]string{"POST /api/Assets", `{"Name":"in a changeset"}`}
	policy := [2]string{"POST /api/AccessPolicies", `{"Name":"p","DurationInMinutes":5,"Permissions":1}`}
	file := [2]string{"POST $1/Files", `{"Name":"a.mp4"}`}
	if body := post(asset, policy, file); strings.Count(body, "HTTP/1.1 201") != 3 {
		t.Errorf("%s", body)
	}
	if got := names(t, s, "Assets", "Name") + "|" + names(t, s, "AccessPolicies", "Name") + "|" + names(t, s, "Files", "Name"); got != "in a changeset|p|a.mp4" {
		t.Errorf("%s", got)
	}
	// The last operation fails: a second file of the name.
	if body := post(asset, policy, file, file); !strings.Contains(body, "HTTP/1.1 409") || strings.Contains(body, "HTTP/1.1 201") {
		t.Errorf("%s", body)
	}
	// What cannot be taken back is refused, and the rest with it.
	_, _, v := ask(t, s, "Reader", "GET", "Assets", "")
	id := v["value"].([]any)[0].(map[string]any)["Id"].(string)
	if body := post(policy, [2]string{"DELETE /api/Assets('" + id + "')", ""}); !strings.Contains(body, "HTTP/1.1 400") || !strings.Contains(body, "changeset") {
		t.Errorf("%s", body)
	}
	_, _, v = ask(t, s, "Reader", "GET", "StreamingEndpoints", "")
	endpoint := v["value"].([]any)[0].(map[string]any)["Id"].(string)
	if body := post(policy, [2]string{"POST /api/StreamingEndpoints('" + endpoint + "')/Stop", ""}); !strings.Contains(body, "HTTP/1.1 400") {
		t.Errorf("%s", body)
	}
	if got := names(t, s, "Assets", "Name") + "|" + names(t, s, "AccessPolicies", "Name") + "|" + names(t, s, "Files", "Name"); got != "in a changeset|p|a.mp4" {
		t.Errorf("left of refused changesets: %s", got)
	}
	// Changes and deletions go together too.
	if body := post([2]string{"MERGE /api/Assets('" + id + "')", `{"Name":"new"}`}, policy, [2]string{"DELETE /api/Assets('" + id + "')?keepcontainer=true", ""}); strings.Count(body, "HTTP/1.1 20") != 3 {
		t.Errorf("%s", body)
	}
	if got := names(t, s, "Assets", "Name") + "|" + names(t, s, "AccessPolicies", "Name"); got != "|p p" {
		t.Errorf("%s", got)
	}
}
