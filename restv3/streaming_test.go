package restv3_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/openams/openams/account"
	"github.com/openams/openams/ams"
	"github.com/openams/openams/blob"
)

// poll asks for the state of the long-running operation that a began until it
// ends, and returns the last answer.
func (w *world) poll(a answer) answer {
	w.t.Helper()
	url := a.header.Get("Azure-AsyncOperation")
	if url == "" || a.header.Get("Location") == "" || a.header.Get("Retry-After") != "1" {
		w.t.Fatalf("no operation: %d %s %v", a.status, a.body, a.header)
	}
	for end := time.Now().Add(20 * time.Second); ; {
		p := w.want(200, "GET", url, "")
		switch {
		case p.at("status") != "InProgress":
			return p
		case p.header.Get("Retry-After") != "1":
			w.t.Fatalf("a poll without Retry-After: %s", p.body)
		case time.Now().After(end):
			w.t.Fatalf("the operation does not end: %s", p.body)
		}
	}
}

// done is poll, and fails unless the operation succeeds.
func (w *world) done(a answer) answer {
	w.t.Helper()
	p := w.poll(a)
	if p.at("status") != "Succeeded" {
		w.t.Fatalf("the operation ended as %s", p.body)
	}
	return p
}

func atClock(c *account.Config) { c.Now = clock }

func TestFilters(t *testing.T) {
	w := newWorld(t, atClock)
	w.want(201, "PUT", "/assets/a", `{"properties":{}}`)
	const full = `{"properties":{"presentationTimeRange":{"startTimestamp":0,"endTimestamp":9223372036854775807,"presentationWindowDuration":1200000000,"liveBackoffDuration":100,"timescale":10000000,"forceEndTimestamp":true},
		"firstQuality":{"bitrate":128000},
		"tracks":[{"trackSelections":[{"property":"Type","operation":"Equal","value":"Audio"},{"property":"Language","operation":"NotEqual","value":"en"}]},{"trackSelections":[{"property":"Bitrate","operation":"Equal","value":"0-2147483647"}]}]}}`
	for _, list := range []string{"/accountFilters", "/assets/A/assetFilters"} {
		a := w.want(201, "PUT", list+"/F", full)
		golden(t, strings.ReplaceAll("filter"+list, "/", ".")+".json", a.body)
		if b := w.want(200, "GET", list+"/f", ""); b.body != a.body {
			t.Errorf("read back:\n%s\n%s", b.body, a.body)
		}
		w.want(200, "PUT", list+"/f", full)
		b := w.want(200, "PATCH", list+"/F", `{"properties":{"firstQuality":null,"presentationTimeRange":{"endTimestamp":9223372036854776000}}}`) // as JavaScript says "unlimited"
		if strings.Contains(b.body, "firstQuality") || strings.Contains(b.body, "startTimestamp") || b.at("properties/tracks/1") == nil ||
			!strings.Contains(b.body, `"endTimestamp":9223372036854775807`) {
			t.Errorf("PATCH: %s", b.body)
		}
		if b := w.want(201, "PUT", list+"/empty", `{"properties":{}}`); !strings.Contains(b.body, `"properties":{"tracks":[]}`) {
			t.Errorf("empty: %s", b.body)
		}
		if l := w.want(200, "GET", list, ""); l.at("value/1/name") != "F" || l.at("value/2") != nil {
			t.Errorf("list: %s", l.body)
		}
		for _, tt := range []struct{ properties, target, text string }{
			{`"presentationTimeRange":{"startTimestamp":5,"endTimestamp":5}`, ".presentationTimeRange.endTimestamp", "after"},
			{`"presentationTimeRange":{"forceEndTimestamp":true}`, ".presentationTimeRange.forceEndTimestamp", "endTimestamp"},
			{`"presentationTimeRange":{"presentationWindowDuration":599999999}`, ".presentationTimeRange.presentationWindowDuration", "60 seconds"},
			{`"presentationTimeRange":{"timescale":1,"liveBackoffDuration":301}`, ".presentationTimeRange.liveBackoffDuration", "300 seconds"},
			{`"firstQuality":{"bitrate":0}`, ".firstQuality.bitrate", ""},
			{`"tracks":[{"trackSelections":[]}]`, ".tracks[0].trackSelections", "no conditions"},
			{`"tracks":[{"trackSelections":[{"property":"Unknown","operation":"Equal","value":"x"}]}]`, ".tracks[0].trackSelections[0].property", "Unknown"},
			{`"tracks":[{"trackSelections":[{"property":"Type","operation":"Like","value":"x"}]}]`, ".tracks[0].trackSelections[0].operation", "Like"},
			{`"tracks":[{"trackSelections":[{"property":"Type","operation":"Equal","value":"smell"}]}]`, ".tracks[0].trackSelections[0].value", "smell"},
			{`"tracks":[{"trackSelections":[{"property":"FourCC","operation":"Equal","value":"h264x"}]}]`, ".tracks[0].trackSelections[0].value", "h264x"},
			{`"tracks":[{"trackSelections":[{"property":"Bitrate","operation":"Equal","value":"5-4"}]}]`, ".tracks[0].trackSelections[0].value", "5-4"},
			{`"tracks":[{"trackSelections":[{"property":"Name","operation":"Equal"}]}]`, ".tracks[0].trackSelections[0].value", "missing"},
		} {
			w.refused(400, "BadRequest", "properties"+tt.target, tt.text, "PUT", list+"/bad", `{"properties":{`+tt.properties+`}}`)
		}
		w.refused(400, "InvalidResourceName", "", "reserved", "PUT", list+"/a.b", full)
		w.refused(404, "NotFound", "", "", "PATCH", list+"/none", full)
	}
	// The asset's own filter wins; both go with their owners.
	w.want(200, "PATCH", "/assets/a/assetFilters/f", `{"properties":{"firstQuality":{"bitrate":7}}}`)
	acc := must(w.accounts.Account(t.Context(), w.folder.SubscriptionID, "openams", "openams"))(t)
	asset := must(acc.Asset(t.Context(), "a"))(t)
	if f, err := w.accounts.FindFilter(t.Context(), asset, "f"); err != nil || f.FirstQuality != 7 {
		t.Errorf("FindFilter: %+v, %v", f, err)
	}
	w.want(200, "DELETE", "/assets/a", "")
	w.refused(404, "NotFound", "", "", "GET", "/assets/a/assetFilters", "")
	w.want(201, "PUT", "/assets/a", `{"properties":{}}`)
	if l := w.want(200, "GET", "/assets/a/assetFilters", ""); l.body != `{"value":[]}` {
		t.Errorf("filters of a new asset: %s", l.body)
	}
	w.want(200, "DELETE", "/accountFilters/F", "")
	w.want(204, "DELETE", "/accountFilters/F", "")
	w.want(204, "DELETE", "/assets/none/assetFilters/F", "")
}

func TestTracks(t *testing.T) {
	w := newWorld(t, atClock)
	container := w.want(201, "PUT", "/assets/a", `{"properties":{}}`).at("properties/container").(string)
	for name, text := range map[string]string{"en.vtt": "\ufeffWEBVTT\n", "fr.ttml": `<tt xmlns="http://www.w3.org/ns/ttml"/>`, "bad.vtt": "hello", "de.mp4": "x"} {
		if _, err := w.blobs.Put(t.Context(), "openamsstore", container, name, strings.NewReader(text), blob.PutOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	const list = "/assets/a/tracks"
	a := w.want(201, "PUT", list+"/en", `{"properties":{"track":{"@odata.type":"#Microsoft.Media.TextTrack","fileName":"en.vtt","displayName":"English","languageCode":"ignored","playerVisibility":"Visible","hlsSettings":{"default":true,"forced":false,"characteristics":"public.easy-to-read"}}}}`)
	golden(t, "track.text.json", a.body)
	golden(t, "track.operation.json", w.done(a).body)
	if r := w.want(200, "GET", a.header.Get("Location"), ""); r.at("name") != "en" || r.at("properties/provisioningState") != "Succeeded" {
		t.Errorf("the result: %s", r.body)
	}
	w.done(w.want(201, "PUT", list+"/de", `{"properties":{"track":{"@odata.type":"#Microsoft.Media.AudioTrack","fileName":"de.mp4","displayName":"Deutsch","languageCode":"de","hlsSettings":{"default":false},"dashSettings":{"role":"dub"},"mpeg4TrackId":2,"bitRate":9}}}`))
	golden(t, "track.audio.json", w.want(200, "GET", list+"/DE", "").body)
	w.done(w.want(201, "PUT", list+"/v", `{"properties":{"track":{"@odata.type":"#Microsoft.Media.VideoTrack"}}}`))
	if l := w.want(200, "GET", list, ""); l.at("value/2/name") != "v" || strings.Contains(l.body, "nextLink") || strings.Contains(l.body, "systemData") {
		t.Errorf("list: %s", l.body)
	}

	a = w.want(202, "PATCH", list+"/EN", `{"properties":{"track":{"@odata.type":"#Microsoft.Media.TextTrack","playerVisibility":"Hidden"}}}`)
	if a.at("properties/track/playerVisibility") != "Hidden" || a.at("properties/track/displayName") != "English" {
		t.Errorf("PATCH: %s", a.body)
	}
	w.done(a)
	w.done(w.want(200, "PUT", list+"/EN", `{"properties":{"track":{"@odata.type":"#Microsoft.Media.TextTrack","fileName":"en.vtt"}}}`))
	if a := w.want(200, "GET", list+"/en", ""); a.at("properties/track/displayName") != nil || a.at("name") != "en" {
		t.Errorf("PUT again: %s", a.body)
	}
	w.done(w.want(202, "POST", list+"/en/updateTrackData", ""))

	for _, tt := range []struct{ track, target, text string }{
		{`{"@odata.type":"#Microsoft.Media.TextTrack"}`, ".fileName", "WebVTT"},
		{`{"@odata.type":"#Microsoft.Media.TextTrack","fileName":"none.vtt"}`, ".fileName", "not in the container"},
		{`{"@odata.type":"#Microsoft.Media.TextTrack","fileName":"bad.vtt"}`, ".fileName", "neither"},
		{`{"@odata.type":"#Microsoft.Media.TextTrack","fileName":"../x"}`, ".fileName", "root"},
		{`{"@odata.type":"#Microsoft.Media.TextTrack","fileName":"en.vtt","playerVisibility":"Dim"}`, ".playerVisibility", "Dim"},
		{`{"@odata.type":"#Microsoft.Media.AudioTrack","mpeg4TrackId":0}`, ".mpeg4TrackId", "1 to"},
		{`{"@odata.type":"#Microsoft.Media.SmellTrack"}`, ".@odata.type", "SmellTrack"},
		{`null`, "", "missing"},
	} {
		w.refused(400, "BadRequest", "properties.track"+tt.target, tt.text, "PUT", list+"/bad", `{"properties":{"track":`+tt.track+`}}`)
	}
	w.refused(400, "BadRequest", "properties.track.fileName", "can't be changed", "PATCH", list+"/en", `{"properties":{"track":{"@odata.type":"#Microsoft.Media.TextTrack","fileName":"fr.ttml"}}}`)
	w.refused(400, "BadRequest", "properties.track.@odata.type", "can't become", "PATCH", list+"/en", `{"properties":{"track":{"@odata.type":"#Microsoft.Media.AudioTrack"}}}`)
	w.refused(404, "NotFound", "", "", "PUT", "/assets/none/tracks/x", `{"properties":{"track":{"@odata.type":"#Microsoft.Media.VideoTrack"}}}`)
	w.refused(404, "NotFound", "", "", "POST", list+"/none/updateTrackData", "")

	a = w.want(202, "DELETE", list+"/en", "")
	w.done(a)
	w.want(204, "GET", a.header.Get("Location"), "")
	w.want(404, "GET", list+"/en", "")
	w.want(204, "DELETE", list+"/en", "")
	w.want(200, "DELETE", "/assets/a", "")
	w.want(200, "GET", a.header.Get("Azure-AsyncOperation"), "")
}

func TestStreamingEndpoints(t *testing.T) {
	w := newWorld(t, func(c *account.Config) { c.Now, c.Limits.Endpoints = clock, 3 })
	const list = "/streamingEndpoints"
	const full = `{"location":"Local","tags":{"a":"b"},"properties":{"description":"d","scaleUnits":1,"availabilitySetName":"set","maxCacheAge":1800,
		"customHostNames":["media.example.com"],"cdnEnabled":false,"cdnProvider":"StandardVerizon","cdnProfile":"p",
		"accessControl":{"ip":{"allow":[{"name":"all","address":"0.0.0.0","subnetPrefixLength":0},{"address":"::1"}]},
			"akamai":{"akamaiSignatureHeaderAuthenticationKeyList":[{"identifier":"id1","base64Key":"c2VjcmV0IGtleQ==","expiration":"2030-01-01T00:00:00Z"}]}},
		"crossSiteAccessPolicies":{"clientAccessPolicy":"<access-policy/>","crossDomainPolicy":"<cross-domain-policy/>"},
		"hostName":"ignored","resourceState":"Running"}}`
	a := w.want(201, "PUT", list+"/Second?autoStart=true", full)
	golden(t, "endpoint.created.json", a.body)
	w.done(a)
	if r := w.want(200, "GET", a.header.Get("Location"), ""); r.at("properties/resourceState") != "Running" || r.at("properties/provisioningState") != "Succeeded" {
		t.Errorf("the result: %s", r.body)
	}
	w.done(w.want(200, "PUT", list+"/second", full))
	if a := w.as("Reader", "GET", list+"/second", ""); a.status != 200 || strings.Contains(a.body, "c2VjcmV0IGtleQ==") || !strings.Contains(a.body, "id1") {
		t.Errorf("a Reader: %s", a.body)
	}
	if l := w.want(200, "GET", list, ""); l.at("value/0/properties/hostName") != "localhost:8888" || l.at("value/1/properties/hostName") != "second-openams.localhost:8888" {
		t.Errorf("list: %s", l.body)
	}

	a = w.want(202, "PATCH", list+"/second", `{"properties":{"accessControl":null,"maxCacheAge":null,"customHostNames":[],"description":"new"}}`)
	if strings.Contains(a.body, "address") || !strings.Contains(a.body, `"accessControl":null`) || !strings.Contains(a.body, `"maxCacheAge":null`) ||
		!strings.Contains(a.body, `"customHostNames":[]`) || a.at("properties/description") != "new" || a.at("properties/cdnProfile") != "p" || a.at("tags/a") != "b" {
		t.Errorf("PATCH: %s", a.body)
	}
	w.done(a)
	w.done(w.want(202, "PATCH", list+"/default", `{"location":"local","properties":{"customHostNames":["media.example.com"]}}`)) // free again

	for _, tt := range []struct{ body, target, text string }{
		{`{"properties":{}}`, "location", "location"},
		{`{"location":"l","properties":{"scaleUnits":11}}`, "properties.scaleUnits", "10"},
		{`{"location":"l","properties":{"maxCacheAge":-1}}`, "properties.maxCacheAge", ""},
		{`{"location":"l","properties":{"customHostNames":["not a host"]}}`, "properties.customHostNames[0]", "not a host"},
		{`{"location":"l","properties":{"customHostNames":["x.localhost"]}}`, "properties.customHostNames", "belongs to the server"},
		{`{"location":"l","properties":{"customHostNames":["a.b","A.B"]}}`, "properties.customHostNames[1]", "twice"},
		{`{"location":"l","properties":{"cdnEnabled":true,"customHostNames":["a.b"]}}`, "properties.customHostNames", "cdnEnabled"},
		{`{"location":"l","properties":{"cdnEnabled":true,"accessControl":{"ip":{"allow":[{"address":"1.2.3.4"}]}}}}`, "properties.accessControl", "cdnEnabled"},
		{`{"location":"l","properties":{"accessControl":{"ip":{"allow":[{"address":"1.2.3.4","subnetPrefixLength":33}]}}}}`, "properties.accessControl.ip.allow[0]", ""},
		{`{"location":"l","properties":{"accessControl":{"akamai":{"akamaiSignatureHeaderAuthenticationKeyList":[{"identifier":"i","base64Key":"YQ=="}]}}}}`, "properties.accessControl.akamai.akamaiSignatureHeaderAuthenticationKeyList[0].base64Key", "bytes"},
		{`{"location":"l","properties":{"crossSiteAccessPolicies":{"crossDomainPolicy":"<a>"}}}`, "properties.crossSiteAccessPolicies.crossDomainPolicy", "XML"},
	} {
		w.refused(400, "BadRequest", tt.target, tt.text, "PUT", list+"/bad", tt.body)
	}
	w.refused(400, "InvalidResourceName", "", "24", "PUT", list+"/bad-", `{"location":"l"}`)
	w.refused(409, "Conflict", "properties.customHostNames", "belongs to another", "PUT", list+"/bad", `{"location":"l","properties":{"customHostNames":["MEDIA.example.com"]}}`)
	w.refused(400, "BadRequest", "properties.scaleUnits", "scale operation", "PATCH", list+"/second", `{"properties":{"scaleUnits":3}}`)
	w.refused(409, "Conflict", "", "location", "PATCH", list+"/second", `{"location":"elsewhere"}`)
	w.refused(404, "NotFound", "", "", "PATCH", list+"/none", `{}`)

	w.done(w.want(202, "POST", list+"/second/scale", `{"scaleUnit":3}`))
	if a := w.want(200, "GET", list+"/second", ""); a.at("properties/scaleUnits") != 3.0 || a.at("properties/resourceState") != "Running" || a.at("sku/name") != "Premium" {
		t.Errorf("scaled: %s", a.body)
	}
	w.refused(400, "BadRequest", "scaleUnit", "10", "POST", list+"/second/scale", `{"scaleUnit":11}`)
	golden(t, "endpoint.skus.json", w.want(200, "GET", list+"/second/skus", "").body)
	w.refused(404, "NotFound", "", "", "GET", list+"/none/skus", "")

	w.done(w.want(201, "PUT", list+"/third", `{"location":"local"}`))
	if a := w.want(200, "GET", list+"/third", ""); a.at("properties/resourceState") != "Stopped" {
		t.Errorf("without autoStart: %s", a.body)
	}
	w.refused(409, "QuotaExceeded", "", "3 streaming endpoints", "PUT", list+"/fourth", `{"location":"local"}`)
	a = w.want(202, "DELETE", list+"/THIRD", "")
	w.done(a)
	w.want(204, "GET", a.header.Get("Location"), "")
	w.want(204, "DELETE", list+"/third", "")
	w.want(404, "GET", list+"/third", "")
}

// TestOneOperation holds the end of an operation back: another on the same
// endpoint is refused, and a server that starts ends it.
func TestOneOperation(t *testing.T) {
	entered, leave := make(chan struct{}, 9), make(chan struct{})
	w := newWorld(t, func(c *account.Config) {
		c.Follow = func(_ context.Context, _ *ams.StreamingEndpoint) error {
			entered <- struct{}{}
			<-leave
			return nil
		}
	})
	const e = "/streamingEndpoints/second"
	a := w.want(201, "PUT", e+"?autoStart=true", `{"location":"local"}`)
	<-entered
	if got := w.want(200, "GET", e, ""); got.at("properties/resourceState") != "Creating" || got.at("properties/provisioningState") != "InProgress" {
		t.Errorf("while it is made: %s", got.body)
	}
	for _, call := range []struct{ method, path, body string }{
		{"POST", e + "/start", ""}, {"POST", e + "/stop", ""}, {"POST", e + "/scale", `{"scaleUnit":1}`}, {"PATCH", e, `{}`}, {"PUT", e, `{"location":"local"}`}, {"DELETE", e, ""},
	} {
		w.refused(409, "Conflict", "", "in progress", call.method, call.path, call.body)
	}
	w.want(202, "GET", a.header.Get("Location"), "")
	after := account.New(account.Config{Catalog: w.db, Blobs: w.blobs})
	if err := after.Recover(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.done(a)
	if got := w.want(200, "GET", e, ""); got.at("properties/resourceState") != "Running" {
		t.Errorf("recovered: %s", got.body)
	}
	close(leave)
}

// TestSeveralAccounts keeps two accounts of one server apart.
func TestSeveralAccounts(t *testing.T) {
	w := newWorld(t, atClock)
	first := w.account
	group := strings.TrimSuffix(first, "/mediaServices/openams")
	storage := strings.Replace(group, "Microsoft.Media", "Microsoft.Storage/storageAccounts", 1)
	second := group + "/mediaServices/second"
	body := func(store, more string) string {
		return `{"location":"Local","tags":{"t":"v"},` + more + `"properties":{"storageAccounts":[{"id":"` + storage + `/` + store + `","type":"Primary"}]}}`
	}
	w.refused(400, "BadRequest", "properties.storageAccounts[0].id", "otherstore", "PUT", second, body("otherstore", ""))
	w.want(200, "PUT", storage+"/otherstore?api-version=2021-01-01", `{"location":"local","sku":{"name":"Standard_LRS"},"kind":"StorageV2"}`)

	settings := `"identity":{"type":"SystemAssigned"},"properties":{"storageAccounts":[{"id":"` + storage + `/OtherStore","type":"Primary"},{"id":"` + storage + `/openamsstore","type":"Secondary"}],
		"storageAuthentication":"ManagedIdentity","encryption":{"type":"CustomerKey","keyVaultProperties":{"keyIdentifier":"https://vault/keys/k"}},
		"keyDelivery":{"accessControl":{"defaultAction":"Deny","ipAllowList":["10.0.0.0/8"]}},"publicNetworkAccess":"Disabled","minimumTlsVersion":"Tls12"}`
	a := w.want(201, "PUT", second+"?api-version=2023-01-01", `{"location":"Local","tags":{"t":"v"},`+settings+`}`)
	golden(t, "account.created.json", a.body)
	golden(t, "account.operation.json", w.done(a).body)
	if r := w.want(200, "GET", a.header.Get("Location"), ""); r.at("name") != "second" || r.at("properties/provisioningState") != "Succeeded" {
		t.Errorf("the result: %s", r.body)
	}
	golden(t, "account.set.2018-07-01.json", w.want(200, "GET", second+"?api-version=2018-07-01", "").body)
	golden(t, "account.set.2023-01-01.json", w.want(200, "GET", second+"?api-version=2023-01-01", "").body)
	if e := w.want(200, "GET", second+"/streamingEndpoints/default", ""); e.at("properties/resourceState") != "Stopped" || e.at("properties/hostName") != "second.localhost:8888" {
		t.Errorf("its endpoint: %s", e.body)
	}
	if got := w.want(200, "POST", strings.Split(group, "/resourceGroups")[0]+"/providers/Microsoft.Media/locations/local/checkNameAvailability", `{"name":"second","type":"MICROSOFT.MEDIA/MEDIASERVICES"}`); got.at("nameAvailable") != false {
		t.Errorf("the name: %s", got.body)
	}

	// PATCH, and the versions before long-running operations.
	if p := w.want(200, "PATCH", second+"?api-version=2020-05-01", `{"tags":{"x":"y"}}`); p.at("tags/x") != "y" || p.at("properties/storageAuthentication") != "ManagedIdentity" {
		t.Errorf("PATCH: %s", p.body)
	}
	w.done(w.want(202, "PATCH", second, `{"properties":{"publicNetworkAccess":"Enabled"}}`))
	w.want(201, "PUT", group+"/mediaServices/third?api-version=2018-07-01", body("otherstore", ""))
	w.want(200, "PUT", group+"/mediaServices/third?api-version=2018-07-01", body("otherstore", ""))
	w.refused(409, "Conflict", "", "location", "PUT", second, strings.Replace(body("otherstore", ""), "Local", "West US", 1))
	w.refused(400, "BadRequest", "properties.storageAccounts", "Exactly one", "PUT", second, strings.Replace(body("otherstore", ""), "Primary", "Secondary", 1))
	w.refused(400, "BadRequest", "properties.storageAccounts[0].type", "", "PUT", second, strings.Replace(body("otherstore", ""), "Primary", "Tertiary", 1))
	w.refused(400, "BadRequest", "properties.storageAccounts[0].id", "resource id", "PUT", second, `{"location":"local","properties":{"storageAccounts":[{"id":"x","type":"Primary"}]}}`)
	w.refused(400, "BadRequest", "location", "", "PUT", second, `{"properties":{}}`)
	w.refused(400, "InvalidResourceName", "", "3 to 24", "PUT", group+"/mediaServices/UPPER", body("otherstore", ""))

	// Nothing of one shows in the other.
	const clip = `{"properties":{"container":"second-clip"}}`
	w.want(201, "PUT", second+"/assets/clip", clip)
	w.want(201, "PUT", second+"/accountFilters/f", `{"properties":{}}`)
	w.want(404, "GET", "/assets/clip", "")
	w.want(404, "GET", "/accountFilters/f", "")
	w.want(201, "PUT", "/assets/clip", `{"properties":{}}`)
	w.refused(409, "Conflict", "properties.container", "", "PUT", group+"/mediaServices/third/assets/thief", clip)
	l := w.want(201, "PUT", second+"/streamingLocators/l", `{"properties":{"assetName":"clip","streamingPolicyName":"Predefined_ClearStreamingOnly"}}`)
	id := l.at("properties/streamingLocatorId").(string)
	for host, code := range map[string]ams.Code{
		"localhost:8888": ams.NotFound, "third.localhost:8888": ams.NotFound, // of other accounts
		"second.localhost:8888": ams.Unavailable, "127.0.0.1:8888": ams.Unavailable, // stopped
	} {
		if _, err := w.accounts.ResolveLocator(t.Context(), host, id); ams.CodeOf(err) != code {
			t.Errorf("at %s: %v", host, err)
		}
	}
	w.done(w.want(202, "POST", second+"/streamingEndpoints/default/start", ""))
	for _, host := range []string{"SECOND.localhost:8888", "second.localhost", "127.0.0.1:8888"} {
		if p, err := w.accounts.ResolveLocator(t.Context(), host, id); err != nil || p.Endpoint.Name != ams.DefaultEndpoint {
			t.Errorf("at %s: %v", host, err)
		}
	}

	// Storage: what holds assets stays attached; its keys rotate.
	w.refused(409, "Conflict", "", "can't be detached", "PUT", second, body("openamsstore", ""))
	sas := func() string {
		return w.want(200, "POST", second+"/assets/clip/listContainerSas", `{"permissions":"Read","expiryTime":"2026-03-04T06:00:00Z"}`).body
	}
	before, keys := sas(), w.want(200, "POST", storage+"/otherstore/listKeys?api-version=2021-01-01", "")
	rotated := w.want(200, "POST", storage+"/otherstore/regenerateKey?api-version=2021-01-01", `{"keyName":"key2"}`)
	if rotated.at("keys/0/value") != keys.at("keys/0/value") || rotated.at("keys/1/value") == keys.at("keys/1/value") {
		t.Errorf("rotated: %s", rotated.body)
	}
	w.want(200, "POST", second+"/syncStorageKeys", `{"id":"`+storage+`/otherstore"}`)
	if after := sas(); after == before {
		t.Error("listContainerSas still signs with the old keys")
	}
	w.refused(400, "BadRequest", "id", "not attached", "POST", first+"/syncStorageKeys", `{"id":"`+storage+`/otherstore"}`)
	w.refused(400, "BadRequest", "keyName", "key3", "POST", storage+"/otherstore/regenerateKey?api-version=2021-01-01", `{"keyName":"key3"}`)
	w.refused(404, "ResourceNotFound", "", "nostore", "POST", storage+"/nostore/regenerateKey?api-version=2021-01-01", `{"keyName":"key1"}`)

	// Deleting an account leaves the others, and the bytes.
	w.want(200, "DELETE", second, "")
	w.want(204, "DELETE", second, "")
	w.refused(404, "ResourceNotFound", "", "second", "GET", second, "")
	w.want(200, "GET", "/assets/clip", "")
	if _, err := w.blobs.List(t.Context(), "otherstore", "second-clip", blob.ListOptions{}); err != nil {
		t.Errorf("the container: %v", err)
	}
	if _, err := w.accounts.ResolveLocator(t.Context(), "", id); ams.CodeOf(err) != ams.NotFound {
		t.Errorf("its locator: %v", err)
	}
	if l := w.want(200, "GET", group+"/mediaServices", ""); l.at("value/0/name") != "openams" || l.at("value/1/name") != "third" || l.at("value/2") != nil {
		t.Errorf("accounts: %s", l.body)
	}
}

func TestPrivateLinks(t *testing.T) {
	w := newWorld(t, nil)
	const list = "/privateEndpointConnections"
	if a := w.want(200, "GET", list, ""); a.body != `{"value":[]}` {
		t.Errorf("none: %s", a.body)
	}
	w.want(404, "GET", list+"/p", "")
	a := w.want(200, "PUT", list+"/p", `{"properties":{"privateLinkServiceConnectionState":{"status":"Approved","description":"d","actionsRequired":"None"}}}`)
	golden(t, "privatelink.json", a.body)
	w.want(200, "PUT", list+"/P", `{"properties":{"privateLinkServiceConnectionState":{"status":"Rejected"}}}`)
	if a := w.want(200, "GET", "", ""); a.at("properties/privateEndpointConnections/0/properties/privateLinkServiceConnectionState/status") != "Rejected" {
		t.Errorf("the account: %s", a.body)
	}
	w.refused(400, "BadRequest", "properties.privateLinkServiceConnectionState.status", "Maybe", "PUT", list+"/p", `{"properties":{"privateLinkServiceConnectionState":{"status":"Maybe"}}}`)
	w.want(200, "DELETE", list+"/p", "")
	w.want(204, "DELETE", list+"/p", "")
	golden(t, "privatelinkresources.json", w.want(200, "GET", "/privateLinkResources", "").body)
	w.want(200, "GET", "/privateLinkResources/KeyDelivery", "")
	w.want(404, "GET", "/privateLinkResources/none", "")
	if a := w.want(200, "POST", "/listEdgePolicies", `{"deviceId":"d"}`); a.body != `{}` {
		t.Errorf("edge policies: %s", a.body)
	}
}

// TestLimits reaches the limits that are cheap to reach.
func TestLimits(t *testing.T) {
	w := newWorld(t, func(c *account.Config) {
		c.Limits = account.Limits{Accounts: 1, Assets: 2, Jobs: 1, Transforms: 1, Filters: 1, Tracks: 1, Endpoints: 1, LocatorsPerAsset: 1}
	})
	transform := `{"properties":{"outputs":[{"preset":` + adaptive + `}]}}`
	for _, tt := range []struct{ path, body string }{
		{"/assets/%d", `{"properties":{}}`},
		{"/transforms/%d", transform},
		{"/transforms/1/jobs/%d", `{"properties":{"input":{"@odata.type":"#Microsoft.Media.JobInputAsset","assetName":"1"},"outputs":[{"@odata.type":"#Microsoft.Media.JobOutputAsset","assetName":"1"}]}}`},
		{"/accountFilters/%d", `{"properties":{}}`},
		{"/assets/1/assetFilters/%d", `{"properties":{}}`},
		{"/assets/1/tracks/%d", `{"properties":{"track":{"@odata.type":"#Microsoft.Media.VideoTrack"}}}`},
		{"/streamingLocators/%d", `{"properties":{"assetName":"1","streamingPolicyName":"Predefined_ClearStreamingOnly"}}`},
	} {
		w.want(201, "PUT", fmt.Sprintf(tt.path, 1), tt.body)
		if tt.path == "/assets/%d" {
			w.want(201, "PUT", "/assets/2", tt.body)
			w.want(200, "DELETE", "/assets/2", "")
			w.want(201, "PUT", "/assets/3", tt.body) // there is room again
		}
		w.refused(409, "QuotaExceeded", "", "", "PUT", fmt.Sprintf(tt.path, 4), tt.body)
		if tt.path != "/transforms/1/jobs/%d" && !strings.Contains(tt.path, "Locators") && !strings.Contains(tt.path, "tracks") {
			w.want(200, "PUT", fmt.Sprintf(tt.path, 1), tt.body) // no new one
		}
	}
	w.refused(409, "QuotaExceeded", "", "at most", "PUT", "/streamingEndpoints/x", `{"location":"local"}`)
	w.refused(409, "QuotaExceeded", "", "at most", "PUT", w.account[:strings.LastIndex(w.account, "/")]+"/second", `{"location":"local","properties":{"storageAccounts":[]}}`)
}
