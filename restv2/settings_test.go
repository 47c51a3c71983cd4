package restv2_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/openams/openams/catalog"
)

// The filter of an asset is one thing in v2 and v3, under an id of its own.
func TestAssetFilter(t *testing.T) {
	s, acc, _ := newWorld(t)
	_, _, a := ask(t, s, "Contributor", "POST", "Assets", `{"Name":"a"}`)
	id := a["Id"].(string)
	code, h, f := ask(t, s, "Contributor", "POST", "AssetFilters", `{"ParentAssetId":"`+id+`","Name":"F1","FirstQuality":{"Bitrate":"550000"}}`)
	key := id + "__###__F1"
	if code != 201 || f["Id"] != key || f["ParentAssetId"] != id || !strings.Contains(h.Get("Location"), "__%23%23%23__F1") {
		t.Fatalf("%d %v %v", code, h, f)
	}
	path := "AssetFilters('" + url.QueryEscape(key) + "')"
	if code, _, _ := ask(t, s, "Contributor", "POST", "Assets('"+id+"')/AssetFilters", `{"Name":"F1"}`); code != 409 {
		t.Errorf("a second one of the name: %d", code)
	}
	if code, _, v := ask(t, s, "Contributor", "POST", "Assets('"+id+"')/AssetFilters", `{"Name":"F2"}`); code != 201 {
		t.Errorf("%d %v", code, v)
	}
	if code, _, v := ask(t, s, "Contributor", "MERGE", path, `{"FirstQuality":{"Bitrate":1}}`); code != 204 {
		t.Errorf("%d %v", code, v)
	}
	found, err := acc.FindAssets(t.Context(), catalog.Search{Top: 1})
	if err != nil {
		t.Fatal(err)
	}
	if f, err := acc.Filter(t.Context(), found.Rows[0].Name, "f1"); err != nil || f.FirstQuality != 1 {
		t.Errorf("by v3: %+v, %v", f, err)
	}
	for query, want := range map[string]int{
		"AssetFilters": 2, "Assets('" + id + "')/AssetFilters?$orderby=Name%20desc": 2,
		"AssetFilters?$filter=Id%20eq%20'" + url.QueryEscape(key) + "'":          1,
		"AssetFilters?$filter=Name%20eq%20'F2'%20and%20startswith(Id,'nb:cid:')": 1,
	} {
		if code, _, v := ask(t, s, "Reader", "GET", query, ""); code != 200 || len(v["value"].([]any)) != want {
			t.Errorf("%s: %d %v", query, code, v)
		}
	}
	if _, _, v := ask(t, s, "Reader", "GET", "Filters", ""); len(v["value"].([]any)) != 0 {
		t.Errorf("among those of the account: %v", v)
	}
	for _, code := range []int{204, 404} {
		if got, _, _ := ask(t, s, "Contributor", "DELETE", path, ""); got != code {
			t.Errorf("%d, want %d", got, code)
		}
	}
	if code, _, _ := ask(t, s, "Contributor", "POST", "AssetFilters", `{"ParentAssetId":"nb:cid:UUID:x","Name":"F1"}`); code != 404 {
		t.Errorf("of no asset: %d", code)
	}
	if code, _, _ := ask(t, s, "Reader", "GET", "AssetFilters('x')", ""); code != 404 {
		t.Errorf("no id: %d", code)
	}
}

// Reserved units are kept, by MERGE as the PHP SDK has it and by PUT.
func TestReservedUnits(t *testing.T) {
	s, acc, _ := newWorld(t)
	path := "EncodingReservedUnitTypes(guid'" + acc.ID + "')"
	for _, tt := range []struct {
		method, body string
		code         int
	}{
		{"MERGE", `{"AccountId":"` + acc.ID + `","CurrentReservedUnits":"4","MaxReservableUnits":25}`, 204},
		{"PUT", `{"ReservedUnitType":2}`, 204},
		{"PUT", `{"ReservedUnitType":3}`, 400},
		{"PUT", `{"CurrentReservedUnits":26}`, 400},
		{"DELETE", "", 405},
	} {
		if code, _, v := ask(t, s, "Contributor", tt.method, path, tt.body); code != tt.code {
			t.Errorf("%+v: %d %v", tt, code, v)
		}
	}
	_, _, v := ask(t, s, "Reader", "GET", "EncodingReservedUnitTypes", "")
	u := v["value"].([]any)[0].(map[string]any)
	if u["AccountId"] != acc.ID || u["CurrentReservedUnits"] != 4.0 || u["ReservedUnitType"] != 2.0 || u["MaxReservableUnits"] != 25.0 {
		t.Errorf("%v", u)
	}
	if code, _, _ := ask(t, s, "Reader", "PUT", path, `{"CurrentReservedUnits":1}`); code != 403 {
		t.Errorf("a Reader: %d", code)
	}
}

// Telemetry is accepted, and there is none.
func TestMonitoring(t *testing.T) {
	s := newServer(t)
	_, _, e := ask(t, s, "Contributor", "POST", "NotificationEndPoints", `{"Name":"n","EndPointType":3,"EndPointAddress":"https://example.com/hook"}`)
	id, _ := e["Id"].(string)
	code, _, m := ask(t, s, "Contributor", "POST", "MonitoringConfigurations", `{"NotificationEndPointId":"`+id+`","Settings":[{"Component":"StreamingEndpoint","Level":"Normal"}]}`)
	if code != 201 || m["NotificationEndPointId"] != id {
		t.Fatalf("%d %v", code, m)
	}
	path := "MonitoringConfigurations('" + m["Id"].(string) + "')"
	for _, tt := range []struct {
		method, path, body string
		code               int
	}{
		{"POST", "MonitoringConfigurations", `{"NotificationEndPointId":"nb:nepid:UUID:x"}`, 404},
		{"MERGE", path, `{"Settings":[{"Component":"Channel","Level":"Loud"}]}`, 400},
		{"MERGE", path, `{"Settings":[{"Component":"Channel","Level":"Verbose"}]}`, 204},
		{"POST", "NotificationEndPoints('nb:nepid:UUID:x')/GetMonitoringSasUris", `{}`, 404},
	} {
		if code, _, v := ask(t, s, "Contributor", tt.method, tt.path, tt.body); code != tt.code {
			t.Errorf("%+v: %d %v", tt, code, v)
		}
	}
	_, _, m = ask(t, s, "Reader", "GET", path, "")
	if c := m["Settings"].([]any)[0].(map[string]any); c["Component"] != "Channel" || c["Level"] != "Verbose" || m["NotificationEndPointId"] != id {
		t.Errorf("%v", m)
	}
	code, _, v := ask(t, s, "Contributor", "POST", "NotificationEndPoints('"+id+"')/GetMonitoringSasUris", `{"monitoringStartDate":"2017-01-01T00:00:00Z","monitoringEndDate":"2017-01-02T00:00:00Z"}`)
	if code != 200 || len(v["value"].([]any)) != 0 {
		t.Errorf("%d %v", code, v)
	}
	for _, code := range []int{204, 404} {
		if got, _, _ := ask(t, s, "Contributor", "DELETE", path, ""); got != code {
			t.Errorf("%d, want %d", got, code)
		}
	}
}
