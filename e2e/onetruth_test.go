package e2e

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	media "github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/mediaservices/armmediaservices/v3"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
)

// A both is one account as its clients see it: through v2 by plain HTTP, and
// through v3 by the official SDK.
type both struct {
	*v2Client
	group, name string
	v3          struct {
		account        *media.Client
		accountFilters *media.AccountFiltersClient
		assetFilters   *media.AssetFiltersClient
		assets         *media.AssetsClient
		endpoints      *media.StreamingEndpointsClient
		events         *media.LiveEventsClient
		jobs           *media.JobsClient
		keyPolicies    *media.ContentKeyPoliciesClient
		locators       *media.StreamingLocatorsClient
		outputs        *media.LiveOutputsClient
		policies       *media.StreamingPoliciesClient
		transforms     *media.TransformsClient
	}
}

func newBoth(t testing.TB, s *server) *both {
	t.Helper()
	b := &both{v2Client: newV2(t, s), group: s.ResourceGroup, name: s.AccountName}
	cred, options := s.signIn(t, s.ClientID, s.ClientSecret)
	var errs [12]error
	v3, sub := &b.v3, s.SubscriptionID
	v3.account, errs[0] = media.NewClient(sub, cred, options)
	v3.accountFilters, errs[1] = media.NewAccountFiltersClient(sub, cred, options)
	v3.assetFilters, errs[2] = media.NewAssetFiltersClient(sub, cred, options)
	v3.assets, errs[3] = media.NewAssetsClient(sub, cred, options)
	v3.endpoints, errs[4] = media.NewStreamingEndpointsClient(sub, cred, options)
	v3.events, errs[5] = media.NewLiveEventsClient(sub, cred, options)
	v3.jobs, errs[6] = media.NewJobsClient(sub, cred, options)
	v3.keyPolicies, errs[7] = media.NewContentKeyPoliciesClient(sub, cred, options)
	v3.locators, errs[8] = media.NewStreamingLocatorsClient(sub, cred, options)
	v3.outputs, errs[9] = media.NewLiveOutputsClient(sub, cred, options)
	v3.policies, errs[10] = media.NewStreamingPoliciesClient(sub, cred, options)
	v3.transforms, errs[11] = media.NewTransformsClient(sub, cred, options)
	b.need(errors.Join(errs[:]...))
	return b
}

// need ends the test on an error.
func (b *both) need(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// want compares what one API shows with what was written through the other.
func (b *both) want(what string, got, want any) {
	b.Helper()
	if g, w := fmt.Sprint(got), fmt.Sprint(want); g != w {
		b.Errorf("%s: got %s, want %s", what, g, w)
	}
}

// refused expects v3 to answer with a status, and a code unless it is empty.
func (b *both) refused(what string, err error, status int, code string) {
	b.Helper()
	re, ok := errors.AsType[*azcore.ResponseError](err)
	if !ok || re.StatusCode != status || code != "" && re.ErrorCode != code {
		b.Errorf("%s: %v, want %d %s", what, err, status, code)
	}
}

// get reads an entity of v2.
func (b *both) get(path string) (e map[string]any) {
	b.Helper()
	b.need(json.Unmarshal(b.send("GET", path, "", 200), &e))
	return e
}

// asset makes an asset through v2 and finds it through v3.
func (b *both) asset(body string) (id string, a media.Asset) {
	b.Helper()
	id = b.create("Assets", body)["Id"].(string)
	got, err := b.v3.assets.Get(b.Context(), b.group, b.name, "asset-"+bare(id), nil)
	b.need(err)
	return id, got.Asset
}

// link links an entity of v2 to another.
func (b *both) link(from, navigation, set string, id any, status int) {
	b.Helper()
	b.send("POST", from+"/$links/"+navigation, `{"uri":"https://media.windows.net/api/`+keyed(set, id)+`"}`, status)
}

// bare is the guid of an id of v2.
func bare(id any) string {
	s := fmt.Sprint(id)
	return s[strings.LastIndexByte(s, ':')+1:]
}

// names are those of all that a pager of v3 lists.
func names[P any](b *both, pager *runtime.Pager[P], of func(P) []string) (all []string) {
	b.Helper()
	for pager.More() {
		page, err := pager.NextPage(b.Context())
		b.need(err)
		all = append(all, of(page)...)
	}
	return all
}

// TestOneTruth makes everything that both APIs have through each of them, and
// reads, changes and deletes it through the other.
func TestOneTruth(t *testing.T) {
	t.Parallel()
	whole := newBoth(t, start(t, "", "--workers", "0"))
	for _, pair := range []struct {
		name string
		test func(*both)
	}{
		{"Asset", oneAsset}, {"AssetBytes", oneContainer}, {"StorageEncryption", oneStorageKey}, {"StorageAccount", oneStorage},
		{"Job", oneJob}, {"Locator", oneLocator}, {"ContentKey", oneContentKey}, {"ContentKeyPolicy", oneContentKeyPolicy},
		{"Filter", oneFilter}, {"StreamingEndpoint", oneEndpoint}, {"DeliveryPolicy", oneDeliveryPolicy}, {"Live", oneLive},
	} {
		t.Run(pair.name, func(t *testing.T) {
			b := *whole
			b.v2Client = &v2Client{whole.server, t, whole.token}
			pair.test(&b)
		})
	}
}

func oneAsset(b *both) {
	ctx := b.Context()
	id, a := b.asset(`{"Name":"Film one.mp4","AlternateId":"a1"}`)
	v2 := keyed("Assets", id)
	b.want("assetId", *a.Properties.AssetID, bare(id))
	b.want("container", *a.Properties.Container, "asset-"+bare(id))
	b.want("alternateId", *a.Properties.AlternateID, "a1")
	b.want("storageEncryptionFormat", *a.Properties.StorageEncryptionFormat, "None")
	_, err := b.v3.assets.Update(ctx, b.group, b.name, *a.Name, media.Asset{Properties: &media.AssetProperties{AlternateID: to.Ptr("a2"), Description: to.Ptr("d")}}, nil)
	b.need(err)
	e := b.get(v2)
	b.want("AlternateId", e["AlternateId"], "a2")
	b.want("Name", e["Name"], "Film one.mp4")
	b.want("assets of that AlternateId", len(b.list("Assets?$filter="+url.QueryEscape("AlternateId eq 'a2'"))), 1)
	file := b.create("Files", fmt.Sprintf(`{"Name":"f.mp4","ParentAssetId":%q}`, id))["Id"]
	_, err = b.v3.assets.Delete(ctx, b.group, b.name, *a.Name, nil)
	b.need(err)
	b.send("GET", v2, "", 404)
	b.send("GET", keyed("Files", file), "", 404)

	made, err := b.v3.assets.CreateOrUpdate(ctx, b.group, b.name, "Film two", media.Asset{Properties: &media.AssetProperties{
		AlternateID: to.Ptr("a3"), Description: to.Ptr("second"), Container: to.Ptr("film-two")}}, nil)
	b.need(err)
	v2 = keyed("Assets", "nb:cid:UUID:"+strings.ToUpper(*made.Properties.AssetID))
	e = b.get(v2)
	b.want("Name", e["Name"], "Film two")
	b.want("AlternateId", e["AlternateId"], "a3")
	b.want("Uri", e["Uri"], b.BlobEndpoint+"/film-two")
	b.want("assets of that Name", len(b.list("Assets?$filter="+url.QueryEscape("Name eq 'Film two'"))), 1)
	b.send("MERGE", v2, `{"Name":"Second film.mov","AlternateId":"a4"}`, 204)
	got, err := b.v3.assets.Get(ctx, b.group, b.name, "film two", nil)
	b.need(err)
	b.want("name, alternateId, description", []string{*got.Name, *got.Properties.AlternateID, *got.Properties.Description}, []string{"Film two", "a4", "second"})
	b.want("Name", b.get(v2)["Name"], "Second film.mov")
	b.send("DELETE", v2, "", 204)
	_, err = b.v3.assets.Get(ctx, b.group, b.name, "Film two", nil)
	b.refused("a deleted asset", err, 404, "")
	left := names(b, b.v3.assets.NewListPager(b.group, b.name, nil), func(p media.AssetsClientListResponse) (all []string) {
		for _, a := range p.Value {
			all = append(all, *a.Name)
		}
		return all
	})
	b.want("assets", left, []string{})
}

// oneContainer: what is uploaded by the URLs of one API is read by those of the
// other.
func oneContainer(b *both) {
	ctx := b.Context()
	id, a := b.asset(`{"Name":"bytes"}`)
	sas, err := b.v3.assets.ListContainerSas(ctx, b.group, b.name, *a.Name, media.ListContainerSasInput{
		Permissions: to.Ptr(media.AssetContainerPermissionReadWrite), ExpiryTime: to.Ptr(time.Now().Add(time.Hour).UTC())}, nil)
	b.need(err)
	box, err := container.NewClientWithNoCredential(*sas.AssetContainerSasUrls[0], nil)
	b.need(err)
	_, err = box.NewBlockBlobClient("three.mp4").UploadBuffer(ctx, []byte("of v3"), nil)
	b.need(err)
	b.send("GET", "CreateFileInfos?assetid='"+url.QueryEscape(id)+"'", "", 204)
	files := b.list(keyed("Assets", id) + "/Files")
	if len(files) != 1 || files[0]["Name"] != "three.mp4" || files[0]["ContentFileSize"] != "5" || files[0]["IsPrimary"] != true {
		b.Errorf("Files: %v", files)
	}
	policy := b.create("AccessPolicies", `{"Name":"all","DurationInMinutes":60,"Permissions":15}`)["Id"]
	l := b.create("Locators", fmt.Sprintf(`{"AccessPolicyId":%q,"AssetId":%q,"Type":1}`, policy, id))
	at := func(name string) string {
		return fmt.Sprint(l["BaseUri"], "/", name, l["ContentAccessComponent"])
	}
	code, body := b.server.get(b, at("three.mp4"))
	b.want("by the locator", fmt.Sprint(code, string(body)), "200of v3")
	b.want("a put", b.put(b, at("two.mp4"), []byte("of v2"), "x-ms-blob-type", "BlockBlob"), 201)
	down, err := box.NewBlobClient("two.mp4").DownloadStream(ctx, nil)
	b.need(err)
	body, err = io.ReadAll(down.Body)
	b.need(errors.Join(err, down.Body.Close()))
	b.want("by listContainerSas", string(body), "of v2")
	_, err = b.v3.assets.Delete(ctx, b.group, b.name, *a.Name, nil)
	b.need(err)
	code, _ = b.server.get(b, at("three.mp4"))
	if code != 403 && code != 404 {
		b.Errorf("the locator of a deleted asset: %d", code)
	}
	b.send("GET", keyed("Locators", l["Id"]), "", 404)
}

func oneStorageKey(b *both) {
	ctx := b.Context()
	id, a := b.asset(`{"Name":"sealed","Options":1}`)
	b.want("storageEncryptionFormat", *a.Properties.StorageEncryptionFormat, "MediaStorageClientEncryption")
	value := bytes.Repeat([]byte{7}, 32)
	key := b.create("ContentKeys", fmt.Sprintf(`{"ContentKeyType":1,"EncryptedContentKey":%q}`, b.wrap(value)))["Id"]
	b.link(keyed("Assets", id), "ContentKeys", "ContentKeys", key, 204)
	file := b.create("Files", fmt.Sprintf(`{"Name":"f.mp4","ParentAssetId":%q,"IsEncrypted":true,"EncryptionScheme":"StorageEncryption","EncryptionVersion":"1.0","EncryptionKeyId":%q,"InitializationVector":"72340172838076673"}`, id, key))["Id"]
	got, err := b.v3.assets.GetEncryptionKey(ctx, b.group, b.name, *a.Name, nil)
	b.need(err)
	b.want("key", got.Key, value)
	if m := got.AssetFileEncryptionMetadata; len(m) != 1 || *m[0].AssetFileName != "f.mp4" || *m[0].InitializationVector != "72340172838076673" || *m[0].AssetFileID != bare(file) {
		b.Errorf("assetFileEncryptionMetadata: %+v", m)
	}
}

func oneStorage(b *both) {
	ctx := b.Context()
	b.need(b.makeStorage("second"))
	attach := func(names ...string) {
		b.Helper()
		var list []*media.StorageAccount
		for i, name := range names {
			kind := media.StorageAccountTypeSecondary
			if i == 0 {
				kind = media.StorageAccountTypePrimary
			}
			list = append(list, &media.StorageAccount{Type: to.Ptr(kind), ID: to.Ptr("/subscriptions/" + b.SubscriptionID + "/resourceGroups/" + b.group + "/providers/Microsoft.Storage/storageAccounts/" + name)})
		}
		p, err := b.v3.account.BeginUpdate(ctx, b.group, b.name, media.MediaServiceUpdate{Properties: &media.MediaServiceProperties{StorageAccounts: list}}, nil)
		b.need(err)
		_, err = p.PollUntilDone(ctx, &runtime.PollUntilDoneOptions{Frequency: time.Second})
		b.need(err)
	}
	shown := func() (all []string) {
		for _, s := range b.list("StorageAccounts") {
			all = append(all, fmt.Sprint(s["Name"], s["IsDefault"]))
		}
		slices.Sort(all)
		return all
	}
	first := b.StorageAccountName
	b.want("StorageAccounts", shown(), []string{first + "true"})
	b.send("POST", "Assets", `{"Name":"x","StorageAccountName":"second"}`, 404)
	attach(first, "second")
	b.want("StorageAccounts", shown(), []string{first + "true", "secondfalse"})
	_, a := b.asset(`{"Name":"x","StorageAccountName":"second"}`)
	b.want("storageAccountName", *a.Properties.StorageAccountName, "second")
	made, err := b.v3.assets.CreateOrUpdate(ctx, b.group, b.name, "in second", media.Asset{Properties: &media.AssetProperties{StorageAccountName: to.Ptr("second")}}, nil)
	b.need(err)
	v2 := keyed("Assets", "nb:cid:UUID:"+*made.Properties.AssetID)
	b.want("StorageAccountName", b.get(v2)["StorageAccountName"], "second")
	b.send("DELETE", v2, "", 204)
	_, err = b.v3.assets.Delete(ctx, b.group, b.name, *a.Name, nil)
	b.need(err)
	attach(first)
	b.want("StorageAccounts", shown(), []string{first + "true"})
}

// makeStorage makes a storage account. armmediaservices has none of
// Microsoft.Storage.
func (b *both) makeStorage(name string) error {
	req, err := http.NewRequestWithContext(b.Context(), http.MethodPut, b.Management+"/subscriptions/"+b.SubscriptionID+"/resourceGroups/"+b.group+
		"/providers/Microsoft.Storage/storageAccounts/"+name+"?api-version=2022-09-01", strings.NewReader("{}"))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+b.aad(b, b.Management))
	req.Header.Set("Content-Type", "application/json")
	resp, err := b.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode/100 != 2 {
		return fmt.Errorf("%s: %s %w", resp.Status, body, err)
	}
	return nil
}

const oneTask = `{"Configuration":"Adaptive Streaming","MediaProcessorId":"nb:mpid:UUID:ff4df607-d419-42f0-bc17-a481b1331e56","TaskBody":"<taskBody><inputAsset>JobInputAsset(0)</inputAsset><outputAsset assetName=\"made\">JobOutputAsset(0)</outputAsset></taskBody>"}`

func oneJob(b *both) {
	ctx := b.Context()
	id, a := b.asset(`{"Name":"input"}`)
	submit := func(name string) (key, guid string) {
		j := b.create("Jobs", `{"Name":"`+name+`","Priority":5,"InputMediaAssets":[{"__metadata":{"uri":"`+b.V2Endpoint+keyed("Assets", id)+`"}}],"Tasks":[`+oneTask+`]}`)
		return keyed("Jobs", j["Id"]), bare(j["Id"])
	}
	v2, guid := submit("Job of v2")
	output := b.list(v2 + "/OutputMediaAssets")[0]
	j, err := b.v3.jobs.Get(ctx, b.group, b.name, "v2-jobs", guid, nil)
	b.need(err)
	b.want("name", *j.Name, guid)
	b.want("state", *j.Properties.State, "Queued")
	b.want("priority", *j.Properties.Priority, "High")
	b.want("description", *j.Properties.Description, "Job of v2")
	b.want("outputs", len(j.Properties.Outputs), 1)
	b.want("output", *j.Properties.Outputs[0].(*media.JobOutputAsset).AssetName, "asset-"+bare(output["Id"]))
	b.want("input", *j.Properties.Input.(*media.JobInputs).Inputs[0].(*media.JobInputAsset).AssetName, *a.Name)
	_, err = b.v3.jobs.Update(ctx, b.group, b.name, "v2-jobs", guid, media.Job{Properties: &media.JobProperties{
		Description: to.Ptr("told by v3"), Priority: to.Ptr(media.PriorityLow), Input: j.Properties.Input, Outputs: j.Properties.Outputs}}, nil)
	b.need(err)
	b.want("Priority", b.get(v2)["Priority"], -1)
	b.want("Name", b.get(v2)["Name"], "Job of v2")
	_, err = b.v3.jobs.CancelJob(ctx, b.group, b.name, "v2-jobs", guid, nil)
	b.need(err)
	b.want("State", b.get(v2)["State"], 5)
	b.want("State of the task", b.list(v2 + "/Tasks")[0]["State"], 5)
	_, err = b.v3.jobs.Delete(ctx, b.group, b.name, "v2-jobs", guid, nil)
	b.need(err)
	b.send("GET", v2, "", 404)

	v2, guid = submit("another")
	listed := names(b, b.v3.jobs.NewListPager(b.group, b.name, "v2-jobs", nil), func(p media.JobsClientListResponse) (all []string) {
		for _, j := range p.Value {
			all = append(all, *j.Name)
		}
		return all
	})
	b.want("jobs of v2", listed, []string{guid})
	preset := &media.BuiltInStandardEncoderPreset{ODataType: to.Ptr("#Microsoft.Media.BuiltInStandardEncoderPreset"), PresetName: to.Ptr(media.EncoderNamedPresetAdaptiveStreaming)}
	transform := media.Transform{Properties: &media.TransformProperties{Outputs: []*media.TransformOutput{{Preset: preset}}}}
	_, err = b.v3.transforms.CreateOrUpdate(ctx, b.group, b.name, "V2-Jobs", transform, nil)
	b.refused("a transform of that name", err, 400, "")
	_, err = b.v3.jobs.Create(ctx, b.group, b.name, "v2-jobs", "x", media.Job{Properties: j.Properties}, nil)
	b.refused("a job under it", err, 404, "")                             // nor is there one to put it under
	_, err = b.v3.transforms.Delete(ctx, b.group, b.name, "v2-jobs", nil) // there is none, and so it takes no jobs along
	b.need(err)
	b.want("State", b.get(v2)["State"], 0)
	b.send("GET", "CancelJob?jobid='"+url.QueryEscape("nb:jid:UUID:"+guid)+"'", "", 204)
	b.send("DELETE", v2, "", 204)
	_, err = b.v3.jobs.Get(ctx, b.group, b.name, "v2-jobs", guid, nil)
	b.refused("a deleted job", err, 404, "")

	_, err = b.v3.transforms.CreateOrUpdate(ctx, b.group, b.name, "abr", transform, nil)
	b.need(err)
	for _, name := range []string{"one", "two"} {
		_, err = b.v3.jobs.Create(ctx, b.group, b.name, "abr", name, media.Job{Properties: &media.JobProperties{Priority: to.Ptr(media.PriorityHigh),
			Input:   &media.JobInputAsset{ODataType: to.Ptr("#Microsoft.Media.JobInputAsset"), AssetName: a.Name},
			Outputs: []media.JobOutputClassification{&media.JobOutputAsset{ODataType: to.Ptr("#Microsoft.Media.JobOutputAsset"), AssetName: to.Ptr("asset-" + bare(output["Id"]))}}}}, nil)
		b.need(err)
	}
	for _, name := range []string{"one", "two"} {
		found := b.list("Jobs?$filter=" + url.QueryEscape("Name eq '"+name+"'"))
		if len(found) != 1 {
			b.Fatalf("job %s in v2: %v", name, found)
		}
		v2 = keyed("Jobs", found[0]["Id"])
		b.want("Priority, State", []any{found[0]["Priority"], found[0]["State"]}, []any{1, 0})
		b.want("Configuration", b.list(v2 + "/Tasks")[0]["Configuration"], "AdaptiveStreaming")
		b.want("InputMediaAssets", b.list(v2 + "/InputMediaAssets")[0]["Id"], id)
		b.want("OutputMediaAssets", b.list(v2 + "/OutputMediaAssets")[0]["Id"], output["Id"])
		b.send("MERGE", v2, `{"Priority":-7}`, 204)
		j, err = b.v3.jobs.Get(ctx, b.group, b.name, "abr", name, nil)
		b.need(err)
		b.want("priority", *j.Properties.Priority, "Low")
		b.send("DELETE", v2, "", 400) // it waits still
		b.send("GET", "CancelJob?jobid='"+url.QueryEscape(fmt.Sprint(found[0]["Id"]))+"'", "", 204)
		j, err = b.v3.jobs.Get(ctx, b.group, b.name, "abr", name, nil)
		b.need(err)
		b.want("state", *j.Properties.State, "Canceled")
	}
	b.send("DELETE", v2, "", 204)
	_, err = b.v3.jobs.Get(ctx, b.group, b.name, "abr", "two", nil)
	b.refused("a deleted job", err, 404, "")
	_, err = b.v3.transforms.Delete(ctx, b.group, b.name, "abr", nil) // with its jobs
	b.need(err)
	b.want("Jobs", len(b.list("Jobs")), 0)
}

func oneLocator(b *both) {
	ctx := b.Context()
	id, a := b.asset(`{"Name":"published"}`)
	policy := b.create("AccessPolicies", `{"Name":"p","DurationInMinutes":60,"Permissions":1}`)["Id"]
	begin := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	e := b.create("Locators", fmt.Sprintf(`{"Name":"mine","AccessPolicyId":%q,"AssetId":%q,"Type":2,"StartTime":%q}`, policy, id, begin.Format("2006-01-02T15:04:05")))
	v2, name := keyed("Locators", e["Id"]), "locator-"+bare(e["Id"])
	l, err := b.v3.locators.Get(ctx, b.group, b.name, name, nil)
	b.need(err)
	b.want("streamingLocatorId", *l.Properties.StreamingLocatorID, bare(e["Id"]))
	b.want("assetName", *l.Properties.AssetName, *a.Name)
	b.want("streamingPolicyName", *l.Properties.StreamingPolicyName, "Predefined_DownloadAndClearStreaming")
	b.want("times", []any{l.Properties.StartTime.UTC(), l.Properties.EndTime.UTC()}, []any{begin, begin.Add(time.Hour)})
	b.send("MERGE", v2, `{"StartTime":"2026-02-03T00:00:00Z"}`, 204)
	l, err = b.v3.locators.Get(ctx, b.group, b.name, name, nil)
	b.need(err)
	b.want("endTime", l.Properties.EndTime.UTC(), time.Date(2026, 2, 3, 1, 0, 0, 0, time.UTC))
	of, err := b.v3.assets.ListStreamingLocators(ctx, b.group, b.name, *a.Name, nil)
	b.need(err)
	b.want("listStreamingLocators", len(of.StreamingLocators), 1)
	_, err = b.v3.locators.Delete(ctx, b.group, b.name, name, nil)
	b.need(err)
	b.send("GET", v2, "", 404)

	published := func(name string) (key, path string) {
		l, err := b.v3.locators.Create(ctx, b.group, b.name, name, media.StreamingLocator{Properties: &media.StreamingLocatorProperties{
			AssetName: a.Name, StreamingPolicyName: to.Ptr("Predefined_ClearStreamingOnly"), EndTime: to.Ptr(begin.AddDate(10, 0, 0))}}, nil)
		b.need(err)
		guid := *l.Properties.StreamingLocatorID
		key = keyed("Locators", "nb:lid:UUID:"+guid)
		e := b.get(key)
		b.want("Type, Name, AssetId", []any{e["Type"], e["Name"], e["AssetId"]}, []any{2, name, id})
		b.want("Path", e["Path"], b.StreamingEndpoint+"/"+guid+"/")
		b.want("ContentAccessComponent", e["ContentAccessComponent"], guid)
		return key, fmt.Sprint(e["Path"])
	}
	v2, _ = published("of v3")
	b.send("MERGE", v2, `{"Name":"of both","ExpirationDateTime":"2027-01-01T00:00:00Z"}`, 204)
	l, err = b.v3.locators.Get(ctx, b.group, b.name, "of v3", nil)
	b.need(err)
	b.want("endTime", l.Properties.EndTime.UTC(), time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC))
	b.send("DELETE", v2, "", 204)
	_, err = b.v3.locators.Get(ctx, b.group, b.name, "of v3", nil)
	b.refused("a deleted locator", err, 404, "")
	v2, path := published("second")
	_, err = b.v3.assets.Delete(ctx, b.group, b.name, *a.Name, nil)
	b.need(err)
	b.send("GET", v2, "", 404)
	b.want("the path of a deleted asset", b.status(b, path+"x.ism/manifest"), 404)
}

// rebound is the value of a content key as its owner reads it through v2.
func (b *both) rebound(id any) []byte {
	b.Helper()
	value, err := base64.StdEncoding.DecodeString(b.get("RebindContentKey?id='" + url.QueryEscape(fmt.Sprint(id)) + "'&x509Certificate=''")["value"].(string))
	b.need(err)
	return value
}

func oneContentKey(b *both) {
	ctx := b.Context()
	// Of v2: linked to an asset with a delivery policy, it encrypts for a locator.
	id, a := b.asset(`{"Name":"protected"}`)
	value := []byte("0123456789abcdef")
	key := b.create("ContentKeys", fmt.Sprintf(`{"Name":"k","ContentKeyType":4,"EncryptedContentKey":%q}`, b.wrap(value)))["Id"]
	authorization := b.create("ContentKeyAuthorizationPolicies", `{"Name":"who"}`)["Id"]
	delivery := b.create("AssetDeliveryPolicies", `{"Name":"aes","AssetDeliveryProtocol":7,"AssetDeliveryPolicyType":3,"AssetDeliveryConfiguration":"[{\"Key\":2,\"Value\":\"https://keys.example/\"}]"}`)["Id"]
	b.link(keyed("Assets", id), "ContentKeys", "ContentKeys", key, 204)
	b.link(keyed("Assets", id), "DeliveryPolicies", "AssetDeliveryPolicies", delivery, 204)
	access := b.create("AccessPolicies", `{"Name":"p","DurationInMinutes":60,"Permissions":1}`)["Id"]
	l := b.create("Locators", fmt.Sprintf(`{"AccessPolicyId":%q,"AssetId":%q,"Type":2}`, access, id))["Id"]
	keys := func(locator string) []*media.StreamingLocatorContentKey {
		b.Helper()
		got, err := b.v3.locators.ListContentKeys(ctx, b.group, b.name, locator, nil)
		b.need(err)
		return got.ContentKeys
	}
	ks := keys("locator-" + bare(l))
	if len(ks) != 1 || *ks[0].ID != bare(key) || *ks[0].Type != media.StreamingLocatorContentKeyTypeEnvelopeEncryption || *ks[0].Value != base64.StdEncoding.EncodeToString(value) || ks[0].PolicyName != nil {
		b.Fatalf("listContentKeys: %+v", ks)
	}
	b.send("MERGE", keyed("ContentKeys", key), `{"AuthorizationPolicyId":"`+fmt.Sprint(authorization)+`"}`, 204)
	b.want("policyName", *keys("locator-" + bare(l))[0].PolicyName, "policy-"+bare(authorization))
	_, err := b.v3.keyPolicies.Delete(ctx, b.group, b.name, "policy-"+bare(authorization), nil)
	b.refused("a content key policy in use", err, 409, "")
	b.send("DELETE", keyed("Assets", id)+"/$links/"+keyed("ContentKeys", key), "", 204)
	b.want("listContentKeys", len(keys("locator-"+bare(l))), 0)
	b.send("DELETE", keyed("ContentKeys", key), "", 204)
	_, err = b.v3.assets.Delete(ctx, b.group, b.name, *a.Name, nil)
	b.need(err)

	// Of v3: they come with a locator.
	_, a = b.asset(`{"Name":"protected by v3"}`)
	_, err = b.v3.keyPolicies.CreateOrUpdate(ctx, b.group, b.name, "anybody", openPolicy(), nil)
	b.need(err)
	const guid = "5a1b7e14-77f9-4a84-b4d1-7d2a3c9e0b11"
	_, err = b.v3.locators.Create(ctx, b.group, b.name, "protected", media.StreamingLocator{Properties: &media.StreamingLocatorProperties{
		AssetName: a.Name, StreamingPolicyName: to.Ptr("Predefined_ClearKey"), DefaultContentKeyPolicyName: to.Ptr("anybody"),
		ContentKeys: []*media.StreamingLocatorContentKey{{ID: to.Ptr(guid), LabelReferenceInStreamingPolicy: to.Ptr("clearKeyDefault"), Value: to.Ptr(base64.StdEncoding.EncodeToString(value))}}}}, nil)
	b.need(err)
	v2 := keyed("ContentKeys", "nb:kid:UUID:"+guid)
	e := b.get(v2)
	b.want("ContentKeyType", e["ContentKeyType"], 4)
	anybody, err := b.v3.keyPolicies.Get(ctx, b.group, b.name, "anybody", nil)
	b.need(err)
	b.want("AuthorizationPolicyId", e["AuthorizationPolicyId"], "nb:ckpid:UUID:"+*anybody.Properties.PolicyID)
	b.want("value", b.rebound(e["Id"]), value)
	if of := b.list(keyed("Assets", "nb:cid:UUID:"+*a.Properties.AssetID) + "/ContentKeys"); len(of) != 1 || of[0]["Id"] != e["Id"] {
		b.Errorf("ContentKeys of the asset: %v", of)
	}
	b.send("DELETE", v2, "", 409) // the locator would be left without it
	b.send("MERGE", v2, `{"Name":"renamed","AuthorizationPolicyId":"`+fmt.Sprint(authorization)+`"}`, 204)
	b.want("policyName", *keys("protected")[0].PolicyName, "policy-"+bare(authorization))
	_, err = b.v3.locators.Delete(ctx, b.group, b.name, "protected", nil)
	b.need(err)
	b.want("Name", b.get(v2)["Name"], "renamed") // what v2 has written to is its own
	b.send("DELETE", v2, "", 204)
	b.send("GET", v2, "", 404)

	l3, err := b.v3.locators.Create(ctx, b.group, b.name, "random keys", media.StreamingLocator{Properties: &media.StreamingLocatorProperties{
		AssetName: a.Name, StreamingPolicyName: to.Ptr("Predefined_MultiDrmCencStreaming"), DefaultContentKeyPolicyName: to.Ptr("anybody")}}, nil)
	b.need(err)
	types := map[media.StreamingLocatorContentKeyType]int{media.StreamingLocatorContentKeyTypeEnvelopeEncryption: 4, media.StreamingLocatorContentKeyTypeCommonEncryptionCenc: 0}
	for i, k := range keys("random keys") {
		v2 = keyed("ContentKeys", "nb:kid:UUID:"+*k.ID)
		b.want("ContentKeyType", b.get(v2)["ContentKeyType"], types[*k.Type])
		b.want("value", base64.StdEncoding.EncodeToString(b.rebound(b.get(v2)["Id"])), *k.Value)
		b.want("id", *l3.Properties.ContentKeys[i].ID, *k.ID)
	}
	_, err = b.v3.locators.Delete(ctx, b.group, b.name, "random keys", nil)
	b.need(err)
	b.send("GET", v2, "", 404)
	_, err = b.v3.assets.Delete(ctx, b.group, b.name, *a.Name, nil)
	b.need(err)
}

// openPolicy lets anybody have AES keys.
func openPolicy() media.ContentKeyPolicy {
	return media.ContentKeyPolicy{Properties: &media.ContentKeyPolicyProperties{Description: to.Ptr("d"), Options: []*media.ContentKeyPolicyOption{{
		Name:          to.Ptr("open"),
		Configuration: &media.ContentKeyPolicyClearKeyConfiguration{ODataType: to.Ptr("#Microsoft.Media.ContentKeyPolicyClearKeyConfiguration")},
		Restriction:   &media.ContentKeyPolicyOpenRestriction{ODataType: to.Ptr("#Microsoft.Media.ContentKeyPolicyOpenRestriction")},
	}}}}
}

const oneTemplate = `<TokenRestrictionTemplate xmlns:i="http://www.w3.org/2001/XMLSchema-instance" xmlns="http://schemas.microsoft.com/Azure/MediaServices/KeyDelivery/TokenRestrictionTemplate/v1">` +
	`<AlternateVerificationKeys /><Audience>urn:two</Audience><Issuer>http://issuer/</Issuer><PrimaryVerificationKey i:type="SymmetricVerificationKey"><KeyValue>Zmlyc3Q=</KeyValue></PrimaryVerificationKey><RequiredClaims /></TokenRestrictionTemplate>`

func oneContentKeyPolicy(b *both) {
	ctx := b.Context()
	secrets := func(name string) []*media.ContentKeyPolicyOption {
		b.Helper()
		p, err := b.v3.keyPolicies.GetPolicyPropertiesWithSecrets(ctx, b.group, b.name, name, nil)
		b.need(err)
		return p.Options
	}
	restriction := func(kind int, template string) string {
		text, err := json.Marshal(template)
		b.need(err)
		return fmt.Sprintf(`[{"Name":"r","KeyRestrictionType":%d,"Requirements":%s}]`, kind, text)
	}
	id := b.create("ContentKeyAuthorizationPolicies", `{"Name":"Policy of v2"}`)["Id"]
	option := b.create("ContentKeyAuthorizationPolicyOptions", `{"Name":"token","KeyDeliveryType":2,"Restrictions":`+restriction(1, oneTemplate)+`}`)["Id"]
	v2, v2option, name := keyed("ContentKeyAuthorizationPolicies", id), keyed("ContentKeyAuthorizationPolicyOptions", option), "policy-"+bare(id)
	b.link(v2, "Options", "ContentKeyAuthorizationPolicyOptions", option, 204)
	p, err := b.v3.keyPolicies.Get(ctx, b.group, b.name, name, nil)
	b.need(err)
	b.want("policyId, options", []any{*p.Properties.PolicyID, len(p.Properties.Options), *p.Properties.Options[0].PolicyOptionID}, []any{bare(id), 1, bare(option)})
	token, ok := secrets(name)[0].Restriction.(*media.ContentKeyPolicyTokenRestriction)
	if !ok || *token.Audience != "urn:two" || string(token.PrimaryVerificationKey.(*media.ContentKeyPolicySymmetricTokenKey).KeyValue) != "first" {
		b.Errorf("restriction: %+v", token)
	}
	_, err = b.v3.keyPolicies.Update(ctx, b.group, b.name, name, openPolicy(), nil)
	b.need(err)
	got := b.get(v2option)
	b.want("Name", got["Name"], "open")
	b.want("KeyRestrictionType", got["Restrictions"].([]any)[0].(map[string]any)["KeyRestrictionType"], 0)
	b.want("Name", b.get(v2)["Name"], "Policy of v2")
	_, err = b.v3.keyPolicies.Delete(ctx, b.group, b.name, name, nil)
	b.need(err)
	b.send("GET", v2, "", 404)
	b.send("DELETE", v2option, "", 204) // v2 made it apart from the policy

	made, err := b.v3.keyPolicies.CreateOrUpdate(ctx, b.group, b.name, "Policy of v3", openPolicy(), nil)
	b.need(err)
	v2 = keyed("ContentKeyAuthorizationPolicies", "nb:ckpid:UUID:"+*made.Properties.PolicyID)
	b.want("Name", b.get(v2)["Name"], "Policy of v3")
	options := b.list(v2 + "/Options")
	b.want("Options", len(options), 1)
	b.want("Id, Name, KeyDeliveryType", []any{options[0]["Id"], options[0]["Name"], options[0]["KeyDeliveryType"]},
		[]any{"nb:ckpoid:UUID:" + *made.Properties.Options[0].PolicyOptionID, "open", 2})
	v2option = keyed("ContentKeyAuthorizationPolicyOptions", options[0]["Id"])
	b.send("MERGE", v2option, `{"Name":"by token","Restrictions":`+restriction(1, oneTemplate)+`}`, 204)
	b.send("MERGE", v2, `{"Name":"label"}`, 204)
	o := secrets("Policy of v3")[0]
	b.want("name", *o.Name, "by token")
	if token, ok := o.Restriction.(*media.ContentKeyPolicyTokenRestriction); !ok || *token.Issuer != "http://issuer/" {
		b.Errorf("restriction: %+v", o.Restriction)
	}
	b.send("DELETE", v2, "", 204)
	_, err = b.v3.keyPolicies.Get(ctx, b.group, b.name, "Policy of v3", nil)
	b.refused("a deleted policy", err, 404, "")
	b.send("GET", v2option, "", 404) // it was the policy's alone
}

func oneFilter(b *both) {
	ctx := b.Context()
	id, a := b.asset(`{"Name":"filtered"}`)
	const body = `{%s"Name":"%s","PresentationTimeRange":{"StartTimestamp":"0","EndTimestamp":"600000000","PresentationWindowDuration":"9223372036854775807","LiveBackoffDuration":"0","Timescale":"10000000"},` +
		`"Tracks":[{"PropertyConditions":[{"Property":"Type","Value":"audio","Operator":"Equal"}]}],"FirstQuality":{"Bitrate":720000}}`
	quality := func(n int32) *media.FirstQuality { return &media.FirstQuality{Bitrate: to.Ptr(n)} }
	selected := []*media.FilterTrackSelection{{TrackSelections: []*media.FilterTrackPropertyCondition{{
		Property: to.Ptr(media.FilterTrackPropertyTypeLanguage), Operation: to.Ptr(media.FilterTrackPropertyCompareOperationNotEqual), Value: to.Ptr("de")}}}}
	check := func(p *media.MediaFilterProperties) {
		b.Helper()
		b.want("firstQuality, endTimestamp, timescale", []any{*p.FirstQuality.Bitrate, *p.PresentationTimeRange.EndTimestamp, *p.PresentationTimeRange.Timescale}, []any{720000, 600000000, 10000000})
		c := p.Tracks[0].TrackSelections[0]
		b.want("tracks", []any{*c.Property, *c.Operation, *c.Value}, []any{"Type", "Equal", "audio"})
	}
	shown := func(v2 string, bitrate int) {
		b.Helper()
		e := b.get(v2)
		b.want("FirstQuality", e["FirstQuality"].(map[string]any)["Bitrate"], bitrate)
		c := e["Tracks"].([]any)[0].(map[string]any)["PropertyConditions"].([]any)[0].(map[string]any)
		b.want("Tracks", []any{c["Property"], c["Operator"], c["Value"]}, []any{"Language", "NotEqual", "de"})
	}

	// Of the account.
	b.send("POST", "Filters", fmt.Sprintf(body, "", "two"), 201)
	f, err := b.v3.accountFilters.Get(ctx, b.group, b.name, "two", nil)
	b.need(err)
	check(f.Properties)
	_, err = b.v3.accountFilters.Update(ctx, b.group, b.name, "two", media.AccountFilter{Properties: &media.MediaFilterProperties{FirstQuality: quality(5000), Tracks: selected}}, nil)
	b.need(err)
	shown("Filters('two')", 5000)
	_, err = b.v3.accountFilters.Delete(ctx, b.group, b.name, "two", nil)
	b.need(err)
	b.send("GET", "Filters('two')", "", 404)
	_, err = b.v3.accountFilters.CreateOrUpdate(ctx, b.group, b.name, "three", media.AccountFilter{Properties: &media.MediaFilterProperties{FirstQuality: quality(1), Tracks: selected}}, nil)
	b.need(err)
	shown("Filters('three')", 1)
	b.send("MERGE", "Filters('three')", `{"FirstQuality":{"Bitrate":2}}`, 204)
	f, err = b.v3.accountFilters.Get(ctx, b.group, b.name, "three", nil)
	b.need(err)
	b.want("firstQuality", *f.Properties.FirstQuality.Bitrate, 2)
	b.send("DELETE", "Filters('three')", "", 204)
	_, err = b.v3.accountFilters.Get(ctx, b.group, b.name, "three", nil)
	b.refused("a deleted filter", err, 404, "")

	// Of the asset.
	of := func(name string) string { return keyed("AssetFilters", id+"__###__"+name) }
	b.send("POST", "AssetFilters", fmt.Sprintf(body, `"ParentAssetId":"`+id+`",`, "two"), 201)
	g, err := b.v3.assetFilters.Get(ctx, b.group, b.name, *a.Name, "two", nil)
	b.need(err)
	check(g.Properties)
	_, err = b.v3.assetFilters.Update(ctx, b.group, b.name, *a.Name, "two", media.AssetFilter{Properties: &media.MediaFilterProperties{FirstQuality: quality(5000), Tracks: selected}}, nil)
	b.need(err)
	shown(of("two"), 5000)
	_, err = b.v3.assetFilters.Delete(ctx, b.group, b.name, *a.Name, "two", nil)
	b.need(err)
	b.send("GET", of("two"), "", 404)
	for _, name := range []string{"three", "four"} {
		_, err = b.v3.assetFilters.CreateOrUpdate(ctx, b.group, b.name, *a.Name, name, media.AssetFilter{Properties: &media.MediaFilterProperties{FirstQuality: quality(1), Tracks: selected}}, nil)
		b.need(err)
		shown(of(name), 1)
	}
	b.want("AssetFilters", len(b.list(keyed("Assets", id)+"/AssetFilters")), 2)
	b.send("MERGE", of("three"), `{"FirstQuality":{"Bitrate":2}}`, 204)
	g, err = b.v3.assetFilters.Get(ctx, b.group, b.name, *a.Name, "three", nil)
	b.need(err)
	b.want("firstQuality", *g.Properties.FirstQuality.Bitrate, 2)
	b.send("DELETE", of("three"), "", 204)
	_, err = b.v3.assetFilters.Get(ctx, b.group, b.name, *a.Name, "three", nil)
	b.refused("a deleted filter", err, 404, "")
	_, err = b.v3.assets.Delete(ctx, b.group, b.name, *a.Name, nil)
	b.need(err)
	b.want("AssetFilters of a deleted asset", len(b.list("AssetFilters")), 0)
}

// began waits for a long-running operation of v3 through v2's Operations.
func (b *both) began(resp *http.Response) {
	b.Helper()
	at := resp.Header.Get("Azure-AsyncOperation")
	guid, _, _ := strings.Cut(at[strings.LastIndexByte(at, '/')+1:], "?")
	b.operated("nb:opid:UUID:" + guid)
}

func (b *both) operated(id string) {
	b.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		switch state := b.get(keyed("Operations", id))["State"]; {
		case state == "Succeeded":
			return
		case state != "InProgress" || time.Now().After(deadline):
			b.Fatalf("operation %s: %v", id, state)
		}
	}
}

// operate sends a request to v2 that begins a long-running operation, and waits
// for it.
func (b *both) operate(method, path, body string) (e map[string]any) {
	b.Helper()
	req, err := http.NewRequestWithContext(b.Context(), method, b.V2Endpoint+path, strings.NewReader(body))
	b.need(err)
	for name, value := range map[string]string{"Authorization": "Bearer " + b.token, "Accept": "application/json", "Content-Type": "application/json", "x-ms-version": "2.19"} {
		req.Header.Set(name, value)
	}
	resp, err := b.http.Do(req)
	b.need(err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	b.need(err)
	if resp.StatusCode != 202 {
		b.Fatalf("%s %s: %s %s", method, path, resp.Status, text)
	}
	if len(text) > 0 {
		b.need(json.Unmarshal(text, &e))
	}
	b.operated(resp.Header.Get("operation-id"))
	return e
}

func oneEndpoint(b *both) {
	var resp *http.Response
	ctx := policy.WithCaptureResponse(b.Context(), &resp)
	get := func(name string) *media.StreamingEndpointProperties {
		b.Helper()
		e, err := b.v3.endpoints.Get(b.Context(), b.group, b.name, name, nil)
		b.need(err)
		return e.Properties
	}
	id := b.operate("POST", "StreamingEndpoints", `{"Name":"two","Description":"of v2","ScaleUnits":"0","CacheControl":{"MaxAge":"60"}}`)["Id"]
	v2 := keyed("StreamingEndpoints", id)
	p := get("two")
	b.want("description, resourceState, maxCacheAge", []any{*p.Description, *p.ResourceState, *p.MaxCacheAge}, []any{"of v2", "Stopped", 60})
	_, err := b.v3.endpoints.BeginUpdate(ctx, b.group, b.name, "two", media.StreamingEndpoint{Location: to.Ptr(b.Location), Properties: &media.StreamingEndpointProperties{
		Description: to.Ptr("changed by v3"), MaxCacheAge: to.Ptr[int64](90)}}, nil)
	b.need(err)
	b.began(resp)
	e := b.get(v2)
	b.want("Description, MaxAge", []any{e["Description"], e["CacheControl"].(map[string]any)["MaxAge"]}, []any{"changed by v3", 90})
	_, err = b.v3.endpoints.BeginStart(ctx, b.group, b.name, "two", nil)
	b.need(err)
	b.began(resp)
	b.want("State", b.get(v2)["State"], "Running")
	_, err = b.v3.endpoints.BeginStop(ctx, b.group, b.name, "two", nil)
	b.need(err)
	b.began(resp)
	b.want("State", b.get(v2)["State"], "Stopped")
	_, err = b.v3.endpoints.BeginDelete(ctx, b.group, b.name, "two", nil)
	b.need(err)
	b.began(resp)
	b.send("GET", v2, "", 404)

	_, err = b.v3.endpoints.BeginCreate(ctx, b.group, b.name, "three", media.StreamingEndpoint{Location: to.Ptr(b.Location), Properties: &media.StreamingEndpointProperties{
		Description: to.Ptr("of v3"), ScaleUnits: to.Ptr[int32](1)}}, nil)
	b.need(err)
	b.began(resp)
	found := b.list("StreamingEndpoints?$filter=" + url.QueryEscape("Name eq 'three'"))
	if len(found) != 1 || found[0]["Description"] != "of v3" || fmt.Sprint(found[0]["ScaleUnits"]) != "1" {
		b.Fatalf("StreamingEndpoints: %v", found)
	}
	v2 = keyed("StreamingEndpoints", found[0]["Id"])
	b.operate("MERGE", v2, `{"Description":"changed by v2"}`)
	b.want("description", *get("three").Description, "changed by v2")
	b.operate("POST", v2+"/Scale", `{"scaleUnits":2}`)
	b.want("scaleUnits", *get("three").ScaleUnits, 2)
	b.operate("POST", v2+"/Start", "")
	b.want("resourceState", *get("three").ResourceState, "Running")
	b.operate("POST", v2+"/Stop", "")
	b.want("resourceState", *get("three").ResourceState, "Stopped")
	b.operate("DELETE", v2, "")
	_, err = b.v3.endpoints.Get(b.Context(), b.group, b.name, "three", nil)
	b.refused("a deleted endpoint", err, 404, "")
}

// oneDeliveryPolicy: v3 has no delivery policies, but a streaming policy made of
// those that a locator of v2 streams by.
func oneDeliveryPolicy(b *both) {
	ctx := b.Context()
	id, a := b.asset(`{"Name":"delivered"}`)
	asset := keyed("Assets", id)
	delivery := b.create("AssetDeliveryPolicies", `{"Name":"dash in the clear","AssetDeliveryProtocol":2,"AssetDeliveryPolicyType":2}`)["Id"]
	b.link(asset, "DeliveryPolicies", "AssetDeliveryPolicies", delivery, 204)
	access := b.create("AccessPolicies", `{"Name":"p","DurationInMinutes":60,"Permissions":1}`)["Id"]
	l := b.create("Locators", fmt.Sprintf(`{"AccessPolicyId":%q,"AssetId":%q,"Type":2}`, access, id))["Id"]
	of, err := b.v3.locators.Get(ctx, b.group, b.name, "locator-"+bare(l), nil)
	b.need(err)
	name := *of.Properties.StreamingPolicyName
	if !strings.HasPrefix(name, "AssetDelivery_") {
		b.Errorf("streamingPolicyName: %s", name)
	}
	p, err := b.v3.policies.Get(ctx, b.group, b.name, name, nil)
	b.need(err)
	if n := p.Properties.NoEncryption; n == nil || !*n.EnabledProtocols.Dash || *n.EnabledProtocols.Hls || *n.EnabledProtocols.SmoothStreaming || p.Properties.EnvelopeEncryption != nil {
		b.Errorf("streaming policy: %+v", p.Properties)
	}
	_, err = b.v3.policies.Delete(ctx, b.group, b.name, name, nil)
	b.refused("a streaming policy in use", err, 409, "Conflict")
	_, err = b.v3.locators.Create(ctx, b.group, b.name, "by v3", media.StreamingLocator{Properties: &media.StreamingLocatorProperties{AssetName: a.Name, StreamingPolicyName: to.Ptr(name)}}, nil)
	b.refused("a locator of v3 by it", err, 400, "BadRequest")
	_, err = b.v3.policies.Create(ctx, b.group, b.name, "AssetDelivery_mine", media.StreamingPolicy{Properties: &media.StreamingPolicyProperties{NoEncryption: p.Properties.NoEncryption}}, nil)
	b.refused("a streaming policy of such a name", err, 400, "")
	b.send("MERGE", keyed("AssetDeliveryPolicies", delivery), `{"AssetDeliveryProtocol":4}`, 409) // it is published
	_, err = b.v3.locators.Delete(ctx, b.group, b.name, "locator-"+bare(l), nil)
	b.need(err)
	_, err = b.v3.policies.Get(ctx, b.group, b.name, name, nil)
	b.refused("the streaming policy without its locator", err, 404, "")
	b.send("MERGE", keyed("AssetDeliveryPolicies", delivery), `{"AssetDeliveryProtocol":4}`, 204)

	// A locator of v3 publishes the asset too.
	_, err = b.v3.locators.Create(ctx, b.group, b.name, "by v3", media.StreamingLocator{Properties: &media.StreamingLocatorProperties{AssetName: a.Name, StreamingPolicyName: to.Ptr("Predefined_ClearStreamingOnly")}}, nil)
	b.need(err)
	b.send("DELETE", asset+"/$links/DeliveryPolicies('"+url.QueryEscape(fmt.Sprint(delivery))+"')", "", 409)
	b.want("DeliveryPolicies", len(b.list(asset+"/DeliveryPolicies")), 1)
	_, err = b.v3.assets.Delete(ctx, b.group, b.name, *a.Name, nil)
	b.need(err)
	b.send("DELETE", keyed("AssetDeliveryPolicies", delivery), "", 204)
}

// oneLive: what this server does not have yet is refused by both in their own
// words.
func oneLive(b *both) {
	for _, set := range []string{"Channels", "Programs"} {
		for _, body := range [][]byte{b.send("GET", set, "", 501), b.send("POST", set, `{"Name":"c"}`, 501)} {
			var e struct {
				Error struct{ Message struct{ Value string } } `json:"odata.error"`
			}
			if err := json.Unmarshal(body, &e); err != nil || !strings.Contains(e.Error.Message.Value, set) {
				b.Errorf("%s: %s %v", set, body, err)
			}
		}
	}
	_, err := b.v3.events.NewListPager(b.group, b.name, nil).NextPage(b.Context())
	b.refused("liveEvents.list", err, 501, "NotImplemented")
	_, err = b.v3.events.BeginCreate(b.Context(), b.group, b.name, "e", media.LiveEvent{Location: to.Ptr(b.Location), Properties: &media.LiveEventProperties{
		Input: &media.LiveEventInput{StreamingProtocol: to.Ptr(media.LiveEventInputProtocolRTMP)}}}, nil)
	b.refused("liveEvents.create", err, 501, "NotImplemented")
	_, err = b.v3.outputs.NewListPager(b.group, b.name, "e", nil).NextPage(b.Context())
	b.refused("liveOutputs.list", err, 501, "NotImplemented")
}
