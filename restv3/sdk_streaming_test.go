package restv3_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	ms "github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/mediaservices/armmediaservices/v3"

	"github.com/openams/openams/account"
	"github.com/openams/openams/ams"
	"github.com/openams/openams/blob"
)

// ended waits for the end of a long-running operation of the official client.
func ended[T any](t *testing.T) func(*runtime.Poller[T], error) T {
	return func(p *runtime.Poller[T], err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		v, err := p.PollUntilDone(ctx, &runtime.PollUntilDoneOptions{Frequency: time.Second})
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// operationOf is the id of the long-running operation that a began.
func operationOf(a answer) string {
	url := a.header.Get("Azure-AsyncOperation")
	id, _, _ := strings.Cut(url[strings.LastIndexByte(url, '/')+1:], "?")
	return id
}

// TestSDKStreaming runs filters, tracks, endpoints and accounts through the
// official client: models, pagers and pollers.
func TestSDKStreaming(t *testing.T) {
	w := newWorld(t, func(c *account.Config) { c.Limits.Filters = -1 })
	f, ctx := w.factory(), t.Context()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	container := w.want(201, "PUT", "/assets/clip", `{"properties":{}}`).at("properties/container").(string)
	_, err := w.blobs.Put(ctx, "openamsstore", container, "en.vtt", strings.NewReader("WEBVTT\n"), blob.PutOptions{})
	check(err)

	t.Run("accountFilters", func(t *testing.T) {
		c := client(f, ms.NewAccountFiltersClient)
		body := ms.AccountFilter{Properties: &ms.MediaFilterProperties{
			FirstQuality:          &ms.FirstQuality{Bitrate: to.Ptr[int32](128000)},
			PresentationTimeRange: &ms.PresentationTimeRange{StartTimestamp: to.Ptr[int64](0), EndTimestamp: to.Ptr[int64](9223372036854775807), Timescale: to.Ptr[int64](10000000)},
			Tracks: []*ms.FilterTrackSelection{{TrackSelections: []*ms.FilterTrackPropertyCondition{
				{Property: to.Ptr(ms.FilterTrackPropertyTypeType), Operation: to.Ptr(ms.FilterTrackPropertyCompareOperationEqual), Value: to.Ptr("Video")}}}},
		}}
		made, err := c.CreateOrUpdate(ctx, group, acct, "f", body, nil)
		check(err)
		if *made.Properties.PresentationTimeRange.EndTimestamp != 9223372036854775807 || *made.Properties.Tracks[0].TrackSelections[0].Value != "Video" {
			t.Errorf("%+v", made.Properties)
		}
		_, err = c.Update(ctx, group, acct, "f", ms.AccountFilter{Properties: &ms.MediaFilterProperties{FirstQuality: &ms.FirstQuality{Bitrate: to.Ptr[int32](1)}}}, nil)
		check(err)
		got, err := c.Get(ctx, group, acct, "f", nil)
		check(err)
		if *got.Properties.FirstQuality.Bitrate != 1 || len(got.Properties.Tracks) != 1 {
			t.Errorf("%+v", got.Properties)
		}
		// More than a page.
		const n = 1003
		acc, err := w.accounts.Account(ctx, w.folder.SubscriptionID, group, acct)
		check(err)
		for i := range n - 1 {
			_, _, err := acc.CreateOrUpdateFilter(ctx, "", ams.ManifestFilter{Name: fmt.Sprintf("g%04d", i)})
			check(err)
		}
		if names := all(t, c.NewListPager(group, acct, nil), func(p ms.AccountFiltersClientListResponse) (n []*string) {
			for _, v := range p.Value {
				n = append(n, v.Name)
			}
			return n
		}); len(names) != n || names[0] != "f" || names[n-1] != "g1001" {
			t.Errorf("%d filters", len(names))
		}
		_, err = c.Delete(ctx, group, acct, "f", nil)
		check(err)
	})

	t.Run("assetFilters", func(t *testing.T) {
		c := client(f, ms.NewAssetFiltersClient)
		_, err := c.CreateOrUpdate(ctx, group, acct, "clip", "f", ms.AssetFilter{Properties: &ms.MediaFilterProperties{}}, nil)
		check(err)
		_, err = c.Update(ctx, group, acct, "clip", "f", ms.AssetFilter{Properties: &ms.MediaFilterProperties{FirstQuality: &ms.FirstQuality{Bitrate: to.Ptr[int32](2)}}}, nil)
		check(err)
		got, err := c.Get(ctx, group, acct, "clip", "f", nil)
		check(err)
		names := all(t, c.NewListPager(group, acct, "clip", nil), func(p ms.AssetFiltersClientListResponse) (n []*string) {
			for _, v := range p.Value {
				n = append(n, v.Name)
			}
			return n
		})
		if *got.Properties.FirstQuality.Bitrate != 2 || fmt.Sprint(names) != "[f]" {
			t.Errorf("%+v %v", got.Properties, names)
		}
		_, err = c.Delete(ctx, group, acct, "clip", "f", nil)
		check(err)
	})

	t.Run("tracks", func(t *testing.T) {
		c := client(f, ms.NewTracksClient)
		made := ended[ms.TracksClientCreateOrUpdateResponse](t)(c.BeginCreateOrUpdate(ctx, group, acct, "clip", "en", ms.AssetTrack{Properties: &ms.AssetTrackProperties{
			Track: &ms.TextTrack{FileName: to.Ptr("en.vtt"), DisplayName: to.Ptr("English"), PlayerVisibility: to.Ptr(ms.VisibilityVisible), HlsSettings: &ms.HlsSettings{Forced: to.Ptr(true)}},
		}}, nil))
		if text, ok := made.Properties.Track.(*ms.TextTrack); !ok || *text.DisplayName != "English" || !*text.HlsSettings.Forced || *made.Properties.ProvisioningState != ms.ProvisioningStateSucceeded {
			t.Errorf("%+v", made.Properties)
		}
		changed := ended[ms.TracksClientUpdateResponse](t)(c.BeginUpdate(ctx, group, acct, "clip", "en", ms.AssetTrack{Properties: &ms.AssetTrackProperties{
			Track: &ms.TextTrack{PlayerVisibility: to.Ptr(ms.VisibilityHidden)},
		}}, nil))
		if text := changed.Properties.Track.(*ms.TextTrack); *text.PlayerVisibility != ms.VisibilityHidden || *text.FileName != "en.vtt" {
			t.Errorf("%+v", text)
		}
		ended[ms.TracksClientUpdateTrackDataResponse](t)(c.BeginUpdateTrackData(ctx, group, acct, "clip", "en", nil))
		names := all(t, c.NewListPager(group, acct, "clip", nil), func(p ms.TracksClientListResponse) (n []*string) {
			for _, v := range p.Value {
				n = append(n, v.Name)
			}
			return n
		})
		if fmt.Sprint(names) != "[en]" {
			t.Errorf("%v", names)
		}
		begun, err := c.BeginDelete(ctx, group, acct, "clip", "en", nil)
		ended[ms.TracksClientDeleteResponse](t)(begun, err)
		if _, err := c.Get(ctx, group, acct, "clip", "en", nil); err == nil {
			t.Error("the track is still there")
		}

		// The operations have clients of their own.
		_, err = c.BeginDelete(ctx, group, acct, "clip", "en", nil) // 204: nothing begins
		check(err)
		a := w.want(201, "PUT", "/assets/clip/tracks/v", `{"properties":{"track":{"@odata.type":"#Microsoft.Media.VideoTrack"}}}`)
		w.done(a)
		operation := operationOf(a)
		s, err := client(f, ms.NewAssetTrackOperationStatusesClient).Get(ctx, group, acct, "clip", "v", operation, nil)
		check(err)
		r, err := client(f, ms.NewAssetTrackOperationResultsClient).Get(ctx, group, acct, "clip", "v", operation, nil)
		check(err)
		if *s.Status != "Succeeded" || s.EndTime == nil || *r.Name != "v" {
			t.Errorf("%+v %+v", s, r)
		}
	})

	t.Run("streamingEndpoints", func(t *testing.T) {
		c := client(f, ms.NewStreamingEndpointsClient)
		expires := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
		made := ended[ms.StreamingEndpointsClientCreateResponse](t)(c.BeginCreate(ctx, group, acct, "second", ms.StreamingEndpoint{
			Location: to.Ptr("local"), Tags: map[string]*string{"a": to.Ptr("b")},
			Properties: &ms.StreamingEndpointProperties{
				ScaleUnits: to.Ptr[int32](1), MaxCacheAge: to.Ptr[int64](60), CustomHostNames: []*string{to.Ptr("a.example.com")}, CdnEnabled: to.Ptr(false),
				AccessControl: &ms.StreamingEndpointAccessControl{
					IP: &ms.IPAccessControl{Allow: []*ms.IPRange{{Name: to.Ptr("n"), Address: to.Ptr("10.0.0.0"), SubnetPrefixLength: to.Ptr[int32](8)}}},
					Akamai: &ms.AkamaiAccessControl{AkamaiSignatureHeaderAuthenticationKeyList: []*ms.AkamaiSignatureHeaderAuthenticationKey{
						{Identifier: to.Ptr("id"), Base64Key: to.Ptr("c2VjcmV0IGtleQ=="), Expiration: &expires}}},
				},
			},
		}, &ms.StreamingEndpointsClientBeginCreateOptions{AutoStart: to.Ptr(true)}))
		p := made.Properties
		if *p.ResourceState != ms.StreamingEndpointResourceStateRunning || *p.MaxCacheAge != 60 || *p.AccessControl.IP.Allow[0].SubnetPrefixLength != 8 ||
			!p.AccessControl.Akamai.AkamaiSignatureHeaderAuthenticationKeyList[0].Expiration.Equal(expires) || *p.HostName != "second-openams.localhost:8888" {
			t.Errorf("%+v", p)
		}
		changed := ended[ms.StreamingEndpointsClientUpdateResponse](t)(c.BeginUpdate(ctx, group, acct, "second", ms.StreamingEndpoint{
			Location: to.Ptr("local"), Properties: &ms.StreamingEndpointProperties{Description: to.Ptr("new")}}, nil))
		if *changed.Properties.Description != "new" || *changed.Properties.MaxCacheAge != 60 || *changed.Tags["a"] != "b" {
			t.Errorf("%+v", changed.Properties)
		}
		ended[ms.StreamingEndpointsClientScaleResponse](t)(c.BeginScale(ctx, group, acct, "second", ms.StreamingEntityScaleUnit{ScaleUnit: to.Ptr[int32](2)}, nil))
		ended[ms.StreamingEndpointsClientStopResponse](t)(c.BeginStop(ctx, group, acct, "second", nil))
		skus, err := c.SKUs(ctx, group, acct, "second", nil)
		check(err)
		got, err := c.Get(ctx, group, acct, "second", nil)
		check(err)
		if *got.Properties.ScaleUnits != 2 || *got.Properties.ResourceState != ms.StreamingEndpointResourceStateStopped || *skus.Value[1].SKU.Name != "Premium" {
			t.Errorf("%+v %+v", got.Properties, skus)
		}
		ended[ms.StreamingEndpointsClientDeleteResponse](t)(c.BeginDelete(ctx, group, acct, "second", nil))
		if _, err := c.Get(ctx, group, acct, "second", nil); err == nil {
			t.Error("the endpoint is still there")
		}
	})

	t.Run("accounts", func(t *testing.T) {
		c := client(f, ms.NewClient)
		_, _, err := w.accounts.CreateStorageAccount(ctx, "second")
		check(err)
		id := func(name string) *string {
			return to.Ptr("/subscriptions/" + w.folder.SubscriptionID + "/resourceGroups/" + group + "/providers/Microsoft.Storage/storageAccounts/" + name)
		}
		made := ended[ms.ClientCreateOrUpdateResponse](t)(c.BeginCreateOrUpdate(ctx, group, "second", ms.MediaService{
			Location: to.Ptr("local"), Properties: &ms.MediaServiceProperties{StorageAccounts: []*ms.StorageAccount{{ID: id("second"), Type: to.Ptr(ms.StorageAccountTypePrimary)}}},
		}, nil))
		if *made.Properties.ProvisioningState != ms.ProvisioningStateSucceeded || *made.Properties.MediaServiceID == "" {
			t.Errorf("%+v", made.Properties)
		}
		changed := ended[ms.ClientUpdateResponse](t)(c.BeginUpdate(ctx, group, "second", ms.MediaServiceUpdate{
			Tags: map[string]*string{"x": to.Ptr("y")}, Properties: &ms.MediaServiceProperties{
				StorageAccounts: []*ms.StorageAccount{{ID: id("second"), Type: to.Ptr(ms.StorageAccountTypePrimary)}, {ID: id("openamsstore"), Type: to.Ptr(ms.StorageAccountTypeSecondary)}},
				KeyDelivery:     &ms.KeyDelivery{AccessControl: &ms.AccessControl{DefaultAction: to.Ptr(ms.DefaultActionAllow), IPAllowList: []*string{}}},
			},
		}, nil))
		if *changed.Tags["x"] != "y" || len(changed.Properties.StorageAccounts) != 2 {
			t.Errorf("%+v", changed.Properties)
		}
		_, err = c.SyncStorageKeys(ctx, group, "second", ms.SyncStorageKeysInput{ID: id("second")}, nil)
		check(err)
		_, err = c.ListEdgePolicies(ctx, group, "second", ms.ListEdgePoliciesInput{DeviceID: to.Ptr("d")}, nil)
		check(err)
		a := w.want(202, "PATCH", strings.Replace(w.account, "mediaServices/openams", "mediaServices/second", 1), `{"tags":{}}`)
		w.done(a)
		status, err := client(f, ms.NewOperationStatusesClient).Get(ctx, "local", operationOf(a), nil)
		check(err)
		result, err := client(f, ms.NewOperationResultsClient).Get(ctx, "local", operationOf(a), nil)
		check(err)
		if *status.Status != "Succeeded" || *result.Name != "second" {
			t.Errorf("%+v %+v", status, result)
		}
		free, err := client(f, ms.NewLocationsClient).CheckNameAvailability(ctx, "local", ms.CheckNameAvailabilityInput{Name: to.Ptr("second"), Type: to.Ptr("Microsoft.Media/mediaservices")}, nil)
		check(err)
		if *free.NameAvailable {
			t.Error("the name is free")
		}

		links := client(f, ms.NewPrivateEndpointConnectionsClient)
		_, err = links.CreateOrUpdate(ctx, group, "second", "p", ms.PrivateEndpointConnection{Properties: &ms.PrivateEndpointConnectionProperties{
			PrivateLinkServiceConnectionState: &ms.PrivateLinkServiceConnectionState{Status: to.Ptr(ms.PrivateEndpointServiceConnectionStatusApproved)}}}, nil)
		check(err)
		list, err := links.List(ctx, group, "second", nil)
		check(err)
		one, err := links.Get(ctx, group, "second", "p", nil)
		check(err)
		resources, err := client(f, ms.NewPrivateLinkResourcesClient).List(ctx, group, "second", nil)
		check(err)
		if len(list.Value) != 1 || *one.Properties.ProvisioningState != ms.PrivateEndpointConnectionProvisioningStateSucceeded || len(resources.Value) != 3 {
			t.Errorf("%+v %+v %+v", list, one, resources)
		}
		_, err = client(f, ms.NewPrivateLinkResourcesClient).Get(ctx, group, "second", "liveevent", nil)
		check(err)
		_, err = links.Delete(ctx, group, "second", "p", nil)
		check(err)

		_, err = c.Delete(ctx, group, "second", nil)
		check(err)
		if _, err := c.Get(ctx, group, "second", nil); !strings.Contains(fmt.Sprint(err), http.StatusText(http.StatusNotFound)) {
			t.Errorf("the account is still there: %v", err)
		}
	})
}
