package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/arm"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	media "github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/mediaservices/armmediaservices/v3"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
)

// sdk is the official Go SDK pointed at a server: endpoint and credentials
// are all that differs from code written for Azure.
type sdk struct {
	*server
	assets     *media.AssetsClient
	transforms *media.TransformsClient
	jobs       *media.JobsClient
	locators   *media.StreamingLocatorsClient
	endpoints  *media.StreamingEndpointsClient
	tracks     *media.TracksClient
}

// signIn is a credential of a service principal, and the options by which the
// official SDK asks this server in place of Azure.
func (s *server) signIn(t testing.TB, clientID, secret string) (azcore.TokenCredential, *arm.ClientOptions) {
	t.Helper()
	options := policy.ClientOptions{
		Cloud: cloud.Configuration{
			ActiveDirectoryAuthorityHost: s.Authority,
			Services: map[cloud.ServiceName]cloud.ServiceConfiguration{
				cloud.ResourceManager: {Endpoint: s.Management, Audience: s.Management},
			},
		},
		Transport: s.http,
		Retry:     policy.RetryOptions{MaxRetries: -1},
	}
	cred, err := azidentity.NewClientSecretCredential(s.TenantID, clientID, secret, &azidentity.ClientSecretCredentialOptions{
		ClientOptions: options, DisableInstanceDiscovery: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	return cred, &arm.ClientOptions{ClientOptions: options, DisableRPRegistration: true}
}

func newSDK(t testing.TB, s *server, clientID, secret string) *sdk {
	t.Helper()
	cred, armOptions := s.signIn(t, clientID, secret)
	c := &sdk{server: s}
	var errs [6]error
	c.assets, errs[0] = media.NewAssetsClient(s.SubscriptionID, cred, armOptions)
	c.transforms, errs[1] = media.NewTransformsClient(s.SubscriptionID, cred, armOptions)
	c.jobs, errs[2] = media.NewJobsClient(s.SubscriptionID, cred, armOptions)
	c.locators, errs[3] = media.NewStreamingLocatorsClient(s.SubscriptionID, cred, armOptions)
	c.endpoints, errs[4] = media.NewStreamingEndpointsClient(s.SubscriptionID, cred, armOptions)
	c.tracks, errs[5] = media.NewTracksClient(s.SubscriptionID, cred, armOptions)
	if err := errors.Join(errs[:]...); err != nil {
		t.Fatal(err)
	}
	return c
}

// upload stores a file in an asset's container through its SAS URL.
func (c *sdk) upload(t testing.TB, asset, path string) {
	t.Helper()
	ctx := context.Background()
	sas, err := c.assets.ListContainerSas(ctx, c.ResourceGroup, c.AccountName, asset, media.ListContainerSasInput{
		Permissions: to.Ptr(media.AssetContainerPermissionReadWrite),
		ExpiryTime:  to.Ptr(time.Now().Add(4 * time.Hour).UTC()),
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(sas.AssetContainerSasUrls) != 2 {
		t.Fatalf("listContainerSas gave %d URLs, want one for each key", len(sas.AssetContainerSasUrls))
	}
	for i, u := range sas.AssetContainerSasUrls { // both keys must work
		box, err := container.NewClientWithNoCredential(*u, nil)
		if err != nil {
			t.Fatal(err)
		}
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := box.NewBlockBlobClient(filepath.Base(path)).UploadStream(ctx, f, &blockblob.UploadStreamOptions{BlockSize: 1 << 20, Concurrency: 3}); err != nil {
			t.Fatalf("upload with the URL of key %d: %v", i+1, err)
		}
	}
}

func (c *sdk) createAsset(t testing.TB, name string) media.AssetsClientCreateOrUpdateResponse {
	t.Helper()
	a, err := c.assets.CreateOrUpdate(context.Background(), c.ResourceGroup, c.AccountName, name, media.Asset{
		Properties: &media.AssetProperties{Description: to.Ptr("e2e")},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func (c *sdk) createTransform(t testing.TB, name string, presets ...media.EncoderNamedPreset) {
	t.Helper()
	var outputs []*media.TransformOutput
	for _, p := range presets {
		outputs = append(outputs, &media.TransformOutput{Preset: &media.BuiltInStandardEncoderPreset{
			ODataType: to.Ptr("#Microsoft.Media.BuiltInStandardEncoderPreset"), PresetName: to.Ptr(p)}})
	}
	_, err := c.transforms.CreateOrUpdate(context.Background(), c.ResourceGroup, c.AccountName, name, media.Transform{
		Properties: &media.TransformProperties{Outputs: outputs},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
}

func (c *sdk) submit(t testing.TB, transform, job, input string, outputs ...string) {
	t.Helper()
	var outs []media.JobOutputClassification
	for _, o := range outputs {
		outs = append(outs, &media.JobOutputAsset{ODataType: to.Ptr("#Microsoft.Media.JobOutputAsset"), AssetName: to.Ptr(o)})
	}
	_, err := c.jobs.Create(context.Background(), c.ResourceGroup, c.AccountName, transform, job, media.Job{
		Properties: &media.JobProperties{
			Input:   &media.JobInputAsset{ODataType: to.Ptr("#Microsoft.Media.JobInputAsset"), AssetName: to.Ptr(input)},
			Outputs: outs,
		},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
}

// await polls a job until it ends, checking that progress never falls, and
// returns it.
func (c *sdk) await(t testing.TB, transform, job string, limit time.Duration) media.JobsClientGetResponse {
	t.Helper()
	last := int32(0)
	deadline := time.Now().Add(limit)
	for {
		j, err := c.jobs.Get(context.Background(), c.ResourceGroup, c.AccountName, transform, job, nil)
		if err != nil {
			t.Fatal(err)
		}
		out := j.Properties.Outputs[0].GetJobOutput()
		if p := *out.Progress; p < last && *out.State == media.JobStateProcessing {
			t.Errorf("progress fell from %d to %d", last, p)
		} else {
			last = p
		}
		switch *j.Properties.State {
		case media.JobStateFinished, media.JobStateError, media.JobStateCanceled:
			return j
		}
		if time.Now().After(deadline) {
			t.Fatalf("job %s still %s after %s", job, *j.Properties.State, limit)
		}
		time.Sleep(200 * time.Millisecond)
	}
}

// publish makes a locator and returns its paths by protocol ("Download" for
// progressive download).
func (c *sdk) publish(t testing.TB, locator, asset, policyName string) map[string][]string {
	t.Helper()
	ctx := context.Background()
	_, err := c.locators.Create(ctx, c.ResourceGroup, c.AccountName, locator, media.StreamingLocator{
		Properties: &media.StreamingLocatorProperties{AssetName: to.Ptr(asset), StreamingPolicyName: to.Ptr(policyName)},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := c.locators.ListPaths(ctx, c.ResourceGroup, c.AccountName, locator, nil)
	if err != nil {
		t.Fatal(err)
	}
	paths := map[string][]string{}
	for _, sp := range res.StreamingPaths {
		for _, p := range sp.Paths {
			paths[string(*sp.StreamingProtocol)] = append(paths[string(*sp.StreamingProtocol)], *p)
		}
	}
	for _, p := range res.DownloadPaths {
		paths["Download"] = append(paths["Download"], *p)
	}
	return paths
}

// packets counts what ffprobe reads of each stream behind a URL, and fails on
// any complaint of its.
func packets(t testing.TB, url string) string {
	t.Helper()
	out, err := exec.Command("ffprobe", append(packetArgs(url), url)...).Output()
	if err != nil {
		t.Fatalf("ffprobe %s: %v", url, err)
	}
	return strings.Join(strings.Fields(string(out)), " ")
}

// packetArgs are the options of ffprobe that count packets.
func packetArgs(url string) []string {
	args := []string{"-v", "error", "-count_packets", "-show_entries", "stream=codec_name,nb_read_packets", "-of", "csv=p=0"}
	if help, _ := exec.Command("ffprobe", "-hide_banner", "-h", "demuxer=hls").Output(); strings.Contains(url, "m3u8") && bytes.Contains(help, []byte("extension_picky")) {
		// Newer ones refuse segment URLs without a suffix, as AMS's are.
		args = append(args, "-allowed_extensions", "ALL", "-allowed_segment_extensions", "ALL", "-extension_picky", "0")
	}
	return args
}

func TestMainJobWithGoSDK(t *testing.T) {
	t.Parallel()
	s := start(t, "")
	c := newSDK(t, s, s.ClientID, s.ClientSecret)
	ctx := context.Background()

	in := c.createAsset(t, "input of the job")
	if want := "asset-" + *in.Properties.AssetID; *in.Properties.Container != want {
		t.Errorf("container %q, want %q", *in.Properties.Container, want)
	}
	c.createAsset(t, "output")
	c.upload(t, "input of the job", clip(t, "Film & co.mp4"))
	c.createTransform(t, "abr", media.EncoderNamedPresetAdaptiveStreaming)
	c.submit(t, "abr", "j1", "input of the job", "output")
	job := c.await(t, "abr", "j1", 3*time.Minute)
	if *job.Properties.State != media.JobStateFinished {
		t.Fatalf("job ended %s: %v", *job.Properties.State, job.Properties.Outputs[0].GetJobOutput().Error)
	}
	if p := *job.Properties.Outputs[0].GetJobOutput().Progress; p != 100 {
		t.Errorf("progress of a finished output is %d", p)
	}

	paths := c.publish(t, "l1", "output", "Predefined_DownloadAndClearStreaming")
	for _, protocol := range []string{"Hls", "Dash", "SmoothStreaming", "Download"} {
		if len(paths[protocol]) == 0 {
			t.Errorf("no path for %s", protocol)
		}
	}
	for _, p := range append(append(paths["Hls"], paths["Dash"]...), paths["Download"]...) {
		if strings.HasSuffix(p, ".mp4") || strings.Contains(p, "format=") {
			if got := packets(t, s.StreamingEndpoint+p); !strings.Contains(got, "h264") && !strings.Contains(got, "aac") {
				t.Errorf("%s: ffprobe saw %q", p, got)
			}
		}
	}

	// The endpoint's life: stopped it answers 503, started it serves again.
	stop, err := c.endpoints.BeginStop(ctx, c.ResourceGroup, c.AccountName, "default", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stop.PollUntilDone(ctx, nil); err != nil {
		t.Fatal(err)
	}
	manifest := s.StreamingEndpoint + paths["Dash"][0]
	if status := s.status(t, manifest); status != http.StatusServiceUnavailable {
		t.Errorf("a stopped endpoint answers %d, want 503", status)
	}
	up, err := c.endpoints.BeginStart(ctx, c.ResourceGroup, c.AccountName, "default", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := up.PollUntilDone(ctx, nil); err != nil {
		t.Fatal(err)
	}
	ep, err := c.endpoints.Get(ctx, c.ResourceGroup, c.AccountName, "default", nil)
	if err != nil {
		t.Fatal(err)
	}
	if *ep.Properties.ResourceState != media.StreamingEndpointResourceStateRunning {
		t.Errorf("endpoint is %s after start", *ep.Properties.ResourceState)
	}
	if status := s.status(t, "https://"+*ep.Properties.HostName+paths["Dash"][0]); status != http.StatusOK {
		t.Errorf("https:// + hostName answers %d, want 200", status)
	}

	// Deleting the locator unpublishes at once.
	if _, err := c.locators.Delete(ctx, c.ResourceGroup, c.AccountName, "l1", nil); err != nil {
		t.Fatal(err)
	}
	if status := s.status(t, manifest); status != http.StatusNotFound {
		t.Errorf("a deleted locator answers %d, want 404", status)
	}
}

func (s *server) status(t testing.TB, url string) int {
	t.Helper()
	resp, err := s.http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}

func TestReaderMayOnlyRead(t *testing.T) {
	t.Parallel()
	s := start(t, "")
	writer := newSDK(t, s, s.ClientID, s.ClientSecret)
	writer.createAsset(t, "a")
	reader := newSDK(t, s, s.ReaderClientID, s.ReaderClientSecret).assets
	ctx := context.Background()
	if _, err := reader.Get(ctx, s.ResourceGroup, s.AccountName, "a", nil); err != nil {
		t.Errorf("a Reader may GET: %v", err)
	}
	refused := func(what string, err error) {
		t.Helper()
		re, ok := errors.AsType[*azcore.ResponseError](err)
		if !ok || re.StatusCode != http.StatusForbidden || re.ErrorCode != "AuthorizationFailed" {
			t.Errorf("%s by a Reader: %v, want 403 AuthorizationFailed", what, err)
		}
	}
	_, err := reader.CreateOrUpdate(ctx, s.ResourceGroup, s.AccountName, "b", media.Asset{}, nil)
	refused("PUT", err)
	_, err = reader.ListContainerSas(ctx, s.ResourceGroup, s.AccountName, "a", media.ListContainerSasInput{ExpiryTime: to.Ptr(time.Now().Add(time.Hour))}, nil)
	refused("listContainerSas", err)
	_, err = reader.Delete(ctx, s.ResourceGroup, s.AccountName, "not there", nil) // permission before existence
	refused("DELETE", err)
}

func TestPagingWithGoSDK(t *testing.T) {
	t.Parallel()
	s := start(t, "")
	c := newSDK(t, s, s.ClientID, s.ClientSecret)
	for i := range 25 {
		c.createAsset(t, fmt.Sprintf("asset %02d", i))
	}
	seen := map[string]bool{}
	pages := 0
	for pager := c.assets.NewListPager(s.ResourceGroup, s.AccountName, &media.AssetsClientListOptions{
		Top: to.Ptr[int32](20), Orderby: to.Ptr("name desc"), Filter: to.Ptr("name gt 'asset 04'"),
	}); pager.More(); pages++ {
		page, err := pager.NextPage(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range page.Value {
			if seen[*a.Name] {
				t.Errorf("%s listed twice", *a.Name)
			}
			seen[*a.Name] = true
		}
	}
	if len(seen) != 20 {
		t.Errorf("%d assets in %d pages, want the 20 after 'asset 04'", len(seen), pages)
	}
}

// storage is a client of the storage account, by its first key.
func (s *server) storage(t testing.TB) *azblob.Client {
	t.Helper()
	key, err := azblob.NewSharedKeyCredential(s.StorageAccountName, s.StorageKeys[0])
	if err != nil {
		t.Fatal(err)
	}
	c, err := azblob.NewClientWithSharedKeyCredential(s.BlobEndpoint, key, nil)
	if err != nil {
		t.Fatal(err)
	}
	return c
}
