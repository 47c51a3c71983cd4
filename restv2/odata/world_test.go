package odata_test

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/openams/openams/restv2/odata"
)

const (
	assetID = "nb:cid:UUID:9bc8ff20-24fb-4fdb-9d7c-b04c7ee573a1"
	fileID  = "nb:cid:UUID:f13a0137-0a62-9d4c-b3b9-ca944b5142c5"
	keyID   = "nb:kid:UUID:32e6efaf-5fba-4538-b115-9d1cefe43510"
	policy  = "nb:pid:UUID:be0ac48d-af7d-4877-9d60-1805d68bffae"
	unitID  = "0a1b2c3d-0000-4000-8000-00000000abcd"
)

var created = time.Date(2015, 1, 18, 22, 6, 40, 601090300, time.UTC)

func model(tb testing.TB) *odata.Model {
	tb.Helper()
	b, err := os.ReadFile("../model.json")
	if err != nil {
		tb.Fatal(err)
	}
	m, err := odata.ParseModel(b)
	if err != nil {
		tb.Fatal(err)
	}
	return m
}

// A world keeps entities in memory, and remembers what it was asked.
type world struct {
	sets  map[string]*shelf
	links map[string][]string // "key/Navigation": keys
	asked []string
	last  *odata.Insert
}

type shelf struct {
	w        *world
	set      *odata.EntitySet
	entities []odata.Entity
	next     int
}

func (s *shelf) key(e odata.Entity) string { k, _ := e[s.set.Key().Name].(string); return k }

func (s *shelf) find(key string) int {
	return slices.IndexFunc(s.entities, func(e odata.Entity) bool { return strings.EqualFold(s.key(e), key) })
}

func (s *shelf) Get(_ context.Context, key string) (odata.Entity, error) {
	i := s.find(key)
	if i < 0 {
		return nil, odata.NotFound(s.set.Name)
	}
	return s.entities[i], nil
}

func (s *shelf) Query(_ context.Context, q *odata.Query) (*odata.Page, error) {
	return q.Apply(s.entities)
}

func (s *shelf) Create(_ context.Context, in *odata.Insert) (*odata.Result, error) {
	s.w.last = in
	e := s.w.put(s, in)
	if in.Values["Name"] == "refuse me" {
		return nil, odata.Errorf(http.StatusConflict, "refused")
	}
	result := &odata.Result{Entity: e}
	if s.set.Name == "StreamingEndpoints" {
		result.Operation = "nb:opid:UUID:1"
	}
	return result, nil
}

func (w *world) put(s *shelf, in *odata.Insert) odata.Entity {
	e := odata.Entity{"Created": created, "LastModified": created}
	maps.Copy(e, in.Values)
	key := s.set.Key().Name
	if e[key] == nil {
		s.next++
		e[key] = fmt.Sprintf("nb:new:UUID:%d", s.next)
	}
	for nav, refs := range in.Bind {
		for _, r := range refs {
			id := e[key].(string) + "/" + nav
			w.links[id] = append(w.links[id], r.Key)
		}
	}
	for nav, parts := range in.Inline {
		var made []odata.Entity
		for _, part := range parts {
			p := w.put(w.sets[part.Set.Name], part)
			made = append(made, p)
			id := e[key].(string) + "/" + nav
			w.links[id] = append(w.links[id], p["Id"].(string))
		}
		e[nav] = made
	}
	s.entities = append(s.entities, e)
	return e
}

func (s *shelf) Update(_ context.Context, key string, change odata.Entity) (*odata.Result, error) {
	i := s.find(key)
	if i < 0 {
		return nil, odata.NotFound(s.set.Name)
	}
	maps.Copy(s.entities[i], change)
	s.w.asked = append(s.w.asked, fmt.Sprintf("update %s %v", key, change))
	return nil, nil
}

func (s *shelf) Delete(_ context.Context, key string, options url.Values) (*odata.Result, error) {
	i := s.find(key)
	if i < 0 {
		return nil, odata.NotFound(s.set.Name)
	}
	s.entities = slices.Delete(s.entities, i, i+1)
	s.w.asked = append(s.w.asked, "delete "+key+" "+options.Encode())
	return nil, nil
}

func (s *shelf) Related(ctx context.Context, key, nav string, q *odata.Query) (*odata.Page, error) {
	e, err := s.Get(ctx, key)
	if err != nil {
		return nil, err
	}
	target := s.w.sets[q.Set.Name]
	var found []odata.Entity
	for _, k := range s.w.links[s.key(e)+"/"+nav] {
		if i := target.find(k); i >= 0 {
			found = append(found, target.entities[i])
		}
	}
	return q.Apply(found)
}

func (s *shelf) Link(_ context.Context, key, nav string, to odata.Ref) error {
	id := key + "/" + nav
	if slices.Contains(s.w.links[id], to.Key) {
		return odata.Errorf(http.StatusConflict, "linked already")
	}
	s.w.links[id] = append(s.w.links[id], to.Key)
	return nil
}

func (s *shelf) Unlink(_ context.Context, key, nav string, to odata.Ref) error {
	id := key + "/" + nav
	s.w.links[id] = slices.DeleteFunc(s.w.links[id], func(k string) bool { return k == to.Key })
	return nil
}

func newWorld(tb testing.TB) (*world, *odata.Server) {
	tb.Helper()
	return newWorldOf(tb, model(tb))
}

func newWorldOf(tb testing.TB, m *odata.Model) (*world, *odata.Server) {
	tb.Helper()
	w := &world{sets: map[string]*shelf{}, links: map[string][]string{}}
	c := odata.Config{Model: m, Path: "/api/", Sets: map[string]odata.Reader{}, Calls: map[string]odata.Call{}}
	for _, set := range m.Sets {
		if set.Name == "Channels" || set.Name == "Programs" {
			continue
		}
		s := &shelf{w: w, set: set}
		w.sets[set.Name], c.Sets[set.Name] = s, s
	}
	for _, id := range []string{"CancelJob", "StreamingEndpoints/Start"} {
		c.Calls[id] = func(_ context.Context, key string, args odata.Entity) (*odata.Result, error) {
			w.asked = append(w.asked, fmt.Sprint(id, " ", key, args))
			if id == "CancelJob" {
				return nil, nil
			}
			return &odata.Result{Operation: "nb:opid:UUID:7"}, nil
		}
	}
	c.Calls["GetProtectionKeyId"] = func(_ context.Context, _ string, args odata.Entity) (*odata.Result, error) {
		return &odata.Result{Value: fmt.Sprintf("7D9BB04D9D0A4A24800CADBFEF232689E048F69%d", args["contentKeyType"])}, nil
	}
	c.Calls["GetProtectionKey"] = func(_ context.Context, _ string, args odata.Entity) (*odata.Result, error) {
		return &odata.Result{Value: args["protectionKeyId"]}, nil
	}
	c.Calls["ContentKeys/GetKeyDeliveryUrl"] = func(_ context.Context, key string, args odata.Entity) (*odata.Result, error) {
		return &odata.Result{Value: fmt.Sprintf("https://keys/?KID=%s&type=%d", key, args["keyDeliveryType"])}, nil
	}
	c.Transaction = func(ctx context.Context, do func(context.Context) error) error {
		kept := map[string][]odata.Entity{}
		for name, s := range w.sets {
			kept[name] = slices.Clone(s.entities)
		}
		err := do(ctx)
		if err != nil {
			for name, s := range w.sets {
				s.entities = kept[name]
			}
		}
		return err
	}
	s, err := odata.New(c)
	if err != nil {
		tb.Fatal(err)
	}
	w.fill()
	return w, s
}

func (w *world) add(set string, e odata.Entity) {
	w.sets[set].entities = append(w.sets[set].entities, e)
}

func (w *world) fill() {
	w.add("Assets", odata.Entity{"Id": assetID, "State": 0, "Created": created, "LastModified": created, "Name": "BigBuckBunny.mp4",
		"Options": 0, "FormatOption": 0, "Uri": "https://storagetestaccount001.blob/asset-9bc8ff20", "StorageAccountName": "storagetestaccount001"})
	w.add("StorageAccounts", odata.Entity{"Name": "storagetestaccount001", "IsDefault": true, "BytesUsed": int64(5_000_000_000)})
	w.add("Files", odata.Entity{"Id": fileID, "Name": "it's <a> & b.mp4", "ContentFileSize": int64(1186540), "ParentAssetId": assetID,
		"IsEncrypted": false, "IsPrimary": true, "Created": created, "LastModified": created, "MimeType": "video/mp4", "Options": 0})
	w.add("ContentKeys", odata.Entity{"Id": keyID, "Created": created, "LastModified": created, "ContentKeyType": 1, "ProtectionKeyType": 0})
	w.links[assetID+"/ContentKeys"] = []string{keyID}
	w.add("AccessPolicies", odata.Entity{"Id": policy, "Created": created, "LastModified": created, "Name": "NewUploadPolicy", "DurationInMinutes": 440.0, "Permissions": 2})
	w.add("Locators", odata.Entity{"Id": "nb:lid:UUID:1", "Type": 1, "AccessPolicyId": policy, "AssetId": assetID,
		"StartTime":          odata.DateTime{Time: time.Date(2015, 2, 18, 16, 45, 53, 0, time.UTC), Bare: true},
		"ExpirationDateTime": odata.DateTime{Time: time.Date(2015, 2, 19, 0, 5, 53, 0, time.UTC), Bare: true}})
	w.add("Jobs", odata.Entity{"Id": "nb:jid:UUID:1", "Name": "NewTestJob", "Created": created, "LastModified": created, "State": 2, "Priority": 0,
		"RunningDuration": 0.0, "JobNotificationSubscriptions": []any{odata.Entity{"NotificationEndPointId": "nb:nepid:UUID:1", "TargetJobState": 2}}})
	w.add("Tasks", odata.Entity{"Id": "nb:tid:UUID:1", "Name": "t", "MediaProcessorId": "nb:mpid:UUID:1", "Priority": 0, "Progress": 33.5, "RunningDuration": 12.0,
		"State": 2, "TaskBody": "<taskBody />", "Options": 0})
	w.links["nb:jid:UUID:1/Tasks"] = []string{"nb:tid:UUID:1"}
	w.add("IngestManifests", odata.Entity{"Id": "nb:mid:UUID:1", "Name": "m", "Created": created, "LastModified": created, "State": 0,
		"Statistics": odata.Entity{"PendingFilesCount": 1, "FinishedFilesCount": 0, "ErrorFilesCount": 0}})
	w.add("MediaProcessors", odata.Entity{"Id": "nb:mpid:UUID:ff4df607-d419-42f0-bc17-a481b1331e56", "Name": "Media Encoder Standard", "Sku": "", "Vendor": "Microsoft", "Version": "1.1"})
	w.add("EncodingReservedUnitTypes", odata.Entity{"AccountId": unitID, "ReservedUnitType": 0, "MaxReservableUnits": 25, "CurrentReservedUnits": 0})
}

// A request to the server; headers not given are those of the documents.
func ask(s http.Handler, method, path, body string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, "http://media.example/", strings.NewReader(body))
	r.Method = method
	p, q, _ := strings.Cut(path, "?")
	r.URL.RawQuery = q
	var err error
	if r.URL.Path, err = url.PathUnescape(p); err != nil {
		panic(err)
	}
	r.URL.RawPath = p
	r.Header.Set("x-ms-version", "2.19")
	r.Header.Set("MaxDataServiceVersion", "3.0;NetFx")
	r.Header.Set("DataServiceVersion", "1.0;NetFx")
	r.Header.Set("Accept", "application/json")
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(header); i += 2 {
		if header[i+1] == "" {
			r.Header.Del(header[i])
			continue
		}
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}
