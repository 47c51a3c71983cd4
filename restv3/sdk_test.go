package restv3_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	azarm "github.com/Azure/azure-sdk-for-go/sdk/azcore/arm"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	ms "github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/mediaservices/armmediaservices/v3"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/catalog"
)

const group, acct = "openams", "openams"

// A factory makes the official clients, signed in with their own credential.
type factory struct {
	t            testing.TB
	subscription string
	credential   azcore.TokenCredential
	options      *azarm.ClientOptions
}

// client makes one of the clients by its constructor.
func client[C any](f *factory, make func(string, azcore.TokenCredential, *azarm.ClientOptions) (*C, error)) *C {
	f.t.Helper()
	c, err := make(f.subscription, f.credential, f.options)
	if err != nil {
		f.t.Fatal(err)
	}
	return c
}

func (w *world) factory() *factory {
	w.t.Helper()
	o := policy.ClientOptions{
		Transport: w.server.Client(),
		Cloud: cloud.Configuration{
			ActiveDirectoryAuthorityHost: w.server.URL + "/",
			Services: map[cloud.ServiceName]cloud.ServiceConfiguration{
				cloud.ResourceManager: {Endpoint: w.server.URL, Audience: w.server.URL},
			},
		},
	}
	cred, err := azidentity.NewClientSecretCredential(w.folder.TenantID, w.appID, w.secret, &azidentity.ClientSecretCredentialOptions{
		ClientOptions: o, DisableInstanceDiscovery: true,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return &factory{w.t, w.folder.SubscriptionID, cred, &azarm.ClientOptions{ClientOptions: o}}
}

// all walks a pager and returns the names in it.
func all[T any](t *testing.T, p *runtime.Pager[T], names func(T) []*string) (list []string) {
	t.Helper()
	for p.More() {
		page, err := p.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range names(page) {
			list = append(list, *n)
		}
	}
	return list
}

// TestSDK runs the operations that are served through the official client.
func TestSDK(t *testing.T) {
	w := newWorld(t, nil)
	f, ctx := w.factory(), t.Context()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	fails := func(err error, status int, code string) {
		t.Helper()
		re, ok := err.(*azcore.ResponseError)
		if !ok || re.StatusCode != status || re.ErrorCode != code {
			t.Errorf("got %v, want %d %s", err, status, code)
		}
	}

	t.Run("accounts", func(t *testing.T) {
		c := client(f, ms.NewClient)
		got, err := c.Get(ctx, group, acct, nil)
		check(err)
		if *got.Properties.StorageAccounts[0].Type != ms.StorageAccountTypePrimary || *got.Properties.ProvisioningState != ms.ProvisioningStateSucceeded {
			t.Errorf("%+v", got.Properties)
		}
		names := all(t, c.NewListPager(group, nil), func(p ms.ClientListResponse) (n []*string) {
			for _, v := range p.Value {
				n = append(n, v.Name)
			}
			return n
		})
		bySubscription := all(t, c.NewListBySubscriptionPager(nil), func(p ms.ClientListBySubscriptionResponse) (n []*string) {
			for _, v := range p.Value {
				n = append(n, v.Name)
			}
			return n
		})
		if fmt.Sprint(names, bySubscription) != "[openams] [openams]" {
			t.Errorf("%v %v", names, bySubscription)
		}
		_, err = c.Get(ctx, group, "other", nil)
		fails(err, 404, "ResourceNotFound")
		answer, err := client(f, ms.NewLocationsClient).CheckNameAvailability(ctx, "local", ms.CheckNameAvailabilityInput{Name: to.Ptr(acct), Type: to.Ptr("Microsoft.Media/mediaservices")}, nil)
		check(err)
		if *answer.NameAvailable {
			t.Error("the name of an account is available")
		}
	})

	t.Run("assets", func(t *testing.T) {
		c := client(f, ms.NewAssetsClient)
		for i := range 3 {
			_, err := c.CreateOrUpdate(ctx, group, acct, fmt.Sprintf("asset %d", i), ms.Asset{Properties: &ms.AssetProperties{Description: to.Ptr("d")}}, nil)
			check(err)
		}
		got, err := c.Update(ctx, group, acct, "asset 1", ms.Asset{Properties: &ms.AssetProperties{AlternateID: to.Ptr("alt")}}, nil)
		check(err)
		if *got.Properties.Description != "d" || *got.Properties.AlternateID != "alt" || *got.SystemData.CreatedByType != ms.CreatedByTypeApplication || *got.SystemData.CreatedBy != w.appID {
			t.Errorf("%+v %+v", got.Properties, got.SystemData)
		}
		names := all(t, c.NewListPager(group, acct, &ms.AssetsClientListOptions{Filter: to.Ptr("properties/alternateId eq 'alt'"), Orderby: to.Ptr("name desc")}),
			func(p ms.AssetsClientListResponse) (n []*string) {
				for _, v := range p.Value {
					n = append(n, v.Name)
				}
				return n
			})
		if fmt.Sprint(names) != "[asset 1]" {
			t.Errorf("%q", names)
		}
		sas, err := c.ListContainerSas(ctx, group, acct, "asset 1", ms.ListContainerSasInput{Permissions: to.Ptr(ms.AssetContainerPermissionReadWrite), ExpiryTime: to.Ptr(time.Now().Add(time.Hour))}, nil)
		check(err)
		if len(sas.AssetContainerSasUrls) != 2 {
			t.Errorf("%v", sas.AssetContainerSasUrls)
		}
		_, err = c.GetEncryptionKey(ctx, group, acct, "asset 1", nil)
		fails(err, 400, "BadRequest")
		_, err = c.Delete(ctx, group, acct, "asset 2", nil)
		check(err)
		_, err = c.Delete(ctx, group, acct, "asset 2", nil)
		check(err)
		_, err = c.Get(ctx, group, acct, "asset 2", nil)
		fails(err, 404, "NotFound")
	})

	t.Run("transforms and jobs", func(t *testing.T) {
		c, jobs := client(f, ms.NewTransformsClient), client(f, ms.NewJobsClient)
		got, err := c.CreateOrUpdate(ctx, group, acct, "abr", ms.Transform{Properties: &ms.TransformProperties{Outputs: []*ms.TransformOutput{{
			Preset: &ms.BuiltInStandardEncoderPreset{ODataType: to.Ptr("#Microsoft.Media.BuiltInStandardEncoderPreset"), PresetName: to.Ptr(ms.EncoderNamedPresetAdaptiveStreaming)},
		}}}}, nil)
		check(err)
		if p, ok := got.Properties.Outputs[0].Preset.(*ms.BuiltInStandardEncoderPreset); !ok || *p.PresetName != ms.EncoderNamedPresetAdaptiveStreaming {
			t.Errorf("%+v", got.Properties.Outputs[0].Preset)
		}
		_, err = c.Update(ctx, group, acct, "abr", ms.Transform{Properties: &ms.TransformProperties{Description: to.Ptr("d")}}, nil)
		check(err)
		if n := len(all(t, c.NewListPager(group, acct, nil), func(p ms.TransformsClientListResponse) (n []*string) {
			for _, v := range p.Value {
				n = append(n, v.Name)
			}
			return n
		})); n != 1 {
			t.Errorf("%d transforms", n)
		}
		submit := func(name, output string) (ms.JobsClientCreateResponse, error) {
			return jobs.Create(ctx, group, acct, "abr", name, ms.Job{Properties: &ms.JobProperties{
				Input:           &ms.JobInputHTTP{ODataType: to.Ptr("#Microsoft.Media.JobInputHttp"), Files: []*string{to.Ptr("https://media.example.com/a.mp4?sig=x")}},
				Outputs:         []ms.JobOutputClassification{&ms.JobOutputAsset{ODataType: to.Ptr("#Microsoft.Media.JobOutputAsset"), AssetName: &output}},
				CorrelationData: map[string]*string{"k": to.Ptr("v")},
			}}, nil)
		}
		for i := range 3 {
			job, err := submit(fmt.Sprintf("job%d", i), "asset 0")
			check(err)
			out := job.Properties.Outputs[0].(*ms.JobOutputAsset)
			if *job.Properties.State != ms.JobStateQueued || *out.Progress != 0 || *out.Label != "BuiltInStandardEncoderPreset_0" || *job.Properties.CorrelationData["k"] != "v" {
				t.Errorf("%+v", job.Properties)
			}
		}
		_, err = submit("bad", "none")
		fails(err, 400, "BadRequest")
		job, err := jobs.Get(ctx, group, acct, "abr", "job0", nil)
		check(err)
		if in := job.Properties.Input.(*ms.JobInputHTTP); *in.Files[0] != "https://media.example.com/a.mp4" {
			t.Errorf("%+v", in)
		}
		// As azure-cli does: the whole job comes back in the PATCH.
		job.Properties.Priority = to.Ptr(ms.PriorityHigh)
		updated, err := jobs.Update(ctx, group, acct, "abr", "job0", job.Job, nil)
		check(err)
		if *updated.Properties.Priority != ms.PriorityHigh {
			t.Errorf("%+v", updated.Properties)
		}
		_, err = jobs.CancelJob(ctx, group, acct, "abr", "job0", nil)
		check(err)
		names := all(t, jobs.NewListPager(group, acct, "abr", &ms.JobsClientListOptions{Filter: to.Ptr("properties/state eq 'Queued'"), Orderby: to.Ptr("name desc")}),
			func(p ms.JobsClientListResponse) (n []*string) {
				for _, v := range p.Value {
					n = append(n, v.Name)
				}
				return n
			})
		if fmt.Sprint(names) != "[job2 job1]" {
			t.Errorf("%v", names)
		}
		_, err = jobs.Delete(ctx, group, acct, "abr", "job0", nil)
		check(err)
		_, err = c.Delete(ctx, group, acct, "abr", nil)
		check(err)
		_, err = jobs.Get(ctx, group, acct, "abr", "job1", nil)
		fails(err, 404, "NotFound")
	})

	t.Run("streaming", func(t *testing.T) {
		policies, locators := client(f, ms.NewStreamingPoliciesClient), client(f, ms.NewStreamingLocatorsClient)
		names := all(t, policies.NewListPager(group, acct, nil), func(p ms.StreamingPoliciesClientListResponse) (n []*string) {
			for _, v := range p.Value {
				n = append(n, v.Name)
			}
			return n
		})
		if len(names) != len(ams.PredefinedPolicies()) {
			t.Errorf("%v", names)
		}
		predefined, err := policies.Get(ctx, group, acct, "Predefined_DownloadOnly", nil)
		check(err)
		if p := predefined.Properties.NoEncryption.EnabledProtocols; !*p.Download || *p.Hls {
			t.Errorf("%+v", p)
		}
		yes, no := to.Ptr(true), to.Ptr(false)
		_, err = policies.Create(ctx, group, acct, "dash", ms.StreamingPolicy{Properties: &ms.StreamingPolicyProperties{NoEncryption: &ms.NoEncryption{
			EnabledProtocols: &ms.EnabledProtocols{Dash: yes, Download: no, Hls: no, SmoothStreaming: no}}}}, nil)
		check(err)
		w.put("asset 0", "clip.ism")
		id := "11111111-2222-3333-4444-555555555555"
		made, err := locators.Create(ctx, group, acct, "l", ms.StreamingLocator{Properties: &ms.StreamingLocatorProperties{
			AssetName: to.Ptr("asset 0"), StreamingPolicyName: to.Ptr("dash"), StreamingLocatorID: &id}}, nil)
		check(err)
		if *made.Properties.StreamingLocatorID != id || made.Properties.EndTime.Year() != 9999 {
			t.Errorf("%+v", made.Properties)
		}
		_, err = locators.Create(ctx, group, acct, "k", ms.StreamingLocator{Properties: &ms.StreamingLocatorProperties{
			AssetName: to.Ptr("asset 0"), StreamingPolicyName: to.Ptr("Predefined_ClearKey")}}, nil)
		fails(err, 400, "BadRequest")
		paths, err := locators.ListPaths(ctx, group, acct, "l", nil)
		check(err)
		if len(paths.StreamingPaths) != 1 || *paths.StreamingPaths[0].Paths[0] != "/"+id+"/clip.ism/manifest(format=mpd-time-csf)" {
			t.Errorf("%+v", paths)
		}
		keys, err := locators.ListContentKeys(ctx, group, acct, "l", nil)
		check(err)
		if len(keys.ContentKeys) != 0 {
			t.Errorf("%+v", keys)
		}
		byAsset, err := client(f, ms.NewAssetsClient).ListStreamingLocators(ctx, group, acct, "asset 0", nil)
		check(err)
		if len(byAsset.StreamingLocators) != 1 || *byAsset.StreamingLocators[0].Name != "l" {
			t.Errorf("%+v", byAsset)
		}
		if n := all(t, locators.NewListPager(group, acct, &ms.StreamingLocatorsClientListOptions{Filter: to.Ptr("properties/endTime gt 2999-01-01T00:00:00Z")}), func(p ms.StreamingLocatorsClientListResponse) (n []*string) {
			for _, v := range p.Value {
				n = append(n, v.Name)
			}
			return n
		}); fmt.Sprint(n) != "[l]" {
			t.Errorf("%v", n)
		}
		_, err = policies.Delete(ctx, group, acct, "dash", nil)
		fails(err, 409, "Conflict")
		_, err = locators.Delete(ctx, group, acct, "l", nil)
		check(err)
		_, err = policies.Delete(ctx, group, acct, "dash", nil)
		check(err)
	})

	t.Run("endpoints", func(t *testing.T) {
		c := client(f, ms.NewStreamingEndpointsClient)
		stop, err := c.BeginStop(ctx, group, acct, ams.DefaultEndpoint, nil)
		check(err)
		_, err = stop.PollUntilDone(ctx, &runtime.PollUntilDoneOptions{Frequency: time.Second})
		check(err)
		got, err := c.Get(ctx, group, acct, ams.DefaultEndpoint, nil)
		check(err)
		if *got.Properties.ResourceState != ms.StreamingEndpointResourceStateStopped {
			t.Errorf("%+v", got.Properties)
		}
		start, err := c.BeginStart(ctx, group, acct, ams.DefaultEndpoint, nil)
		check(err)
		_, err = start.PollUntilDone(ctx, &runtime.PollUntilDoneOptions{Frequency: time.Second})
		check(err)
		if n := all(t, c.NewListPager(group, acct, nil), func(p ms.StreamingEndpointsClientListResponse) (n []*string) {
			for _, v := range p.Value {
				n = append(n, to.Ptr(*v.Name+" "+string(*v.Properties.ResourceState)))
			}
			return n
		}); fmt.Sprint(n) != "[default Running]" {
			t.Errorf("%v", n)
		}
		_, err = c.BeginDelete(ctx, group, acct, ams.DefaultEndpoint, nil)
		fails(err, http.StatusConflict, "Conflict")
	})
}

// TestSDKPages walks more assets than a page holds, while they change.
func TestSDKPages(t *testing.T) {
	w := newWorld(t, nil)
	const n = catalog.PageSize + 500
	err := w.db.Update(t.Context(), func(tx *catalog.Tx) error {
		acc, err := tx.Account(acct)
		for i := 0; i < n && err == nil; i++ {
			id := fmt.Sprintf("00000000-0000-0000-0000-%012d", i)
			err = tx.InsertAsset(&ams.Asset{Account: acc.ID, Name: fmt.Sprintf("a%04d", i), ID: id, StorageAccount: "openamsstore", Container: ams.DefaultContainer(id), Created: clock()})
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	pages, names := 0, 0
	for p := client(w.factory(), ms.NewAssetsClient).NewListPager(group, acct, nil); p.More(); pages++ {
		page, err := p.NextPage(context.WithoutCancel(t.Context()))
		if err != nil {
			t.Fatal(err)
		}
		names += len(page.Value)
		// What is deleted behind the page, or inserted, moves nothing.
		if pages == 0 {
			w.want(200, "DELETE", "/assets/a0001", "")
			w.want(201, "PUT", "/assets/a0000x", `{"properties":{}}`)
		}
		for _, v := range page.Value {
			if strings.HasSuffix(*v.Name, "x") {
				t.Errorf("%s appeared behind the page", *v.Name)
			}
		}
	}
	if pages != 2 || names != n {
		t.Errorf("%d assets on %d pages, want %d on 2", names, pages, n)
	}
}
