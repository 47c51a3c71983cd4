package restblob_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/sas"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/service"

	"github.com/openams/openams/blob/blobtest"
)

var ctx = context.Background()

func random(n int) []byte {
	p := make([]byte, n)
	rand.NewChaCha8([32]byte{1: byte(n)}).Read(p)
	return p
}

// must fails the test on err, and returns v.
func must[T any](t testing.TB) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// wantCode checks that err is the service's answer of that status and code.
func wantCode(t testing.TB, what string, err error, status int, code string) {
	t.Helper()
	var re *azcore.ResponseError
	if !errors.As(err, &re) || re.StatusCode != status || re.ErrorCode != code {
		t.Errorf("%s: want %d %s, got %v", what, status, code, err)
	}
}

func (e *endpoint) container(t testing.TB, name string) *container.Client {
	c := e.service().NewContainerClient(name)
	if _, err := c.Create(ctx, nil); err != nil {
		t.Fatal(err)
	}
	return c
}

func body(p []byte) io.ReadSeekCloser { return streaming.NopCloser(bytes.NewReader(p)) }

func TestContainers(t *testing.T) {
	e := serve(t)
	c := e.service().NewContainerClient("videos")
	if _, err := c.Create(ctx, &container.CreateOptions{Metadata: map[string]*string{"owner": to.Ptr("me"), "a_b": to.Ptr("1"), "ab": to.Ptr("2"), "a1": to.Ptr("two  spaces")}}); err != nil {
		t.Fatal(err)
	}
	_, err := c.Create(ctx, nil)
	wantCode(t, "create again", err, 409, "ContainerAlreadyExists")
	_, err = e.service().NewContainerClient("Bad_Name").Create(ctx, nil)
	wantCode(t, "bad name", err, 400, "InvalidResourceName")
	_, err = e.service().NewContainerClient("absent").GetProperties(ctx, nil)
	wantCode(t, "absent", err, 404, "ContainerNotFound")
	p := must[container.GetPropertiesResponse](t)(c.GetProperties(ctx, nil))
	if *p.Metadata["Owner"] != "me" || p.ETag == nil || p.LastModified == nil {
		t.Errorf("properties: %+v", p)
	}
	if _, err := c.SetMetadata(ctx, &container.SetMetadataOptions{Metadata: map[string]*string{"k": to.Ptr("v")}}); err != nil {
		t.Error(err)
	}
	ids := []*container.SignedIdentifier{{ID: to.Ptr("policy"), AccessPolicy: &container.AccessPolicy{
		Permission: to.Ptr("rl"), Expiry: to.Ptr(time.Now().Add(time.Hour).UTC()),
	}}}
	if _, err := c.SetAccessPolicy(ctx, &container.SetAccessPolicyOptions{ContainerACL: ids}); err != nil {
		t.Fatal(err)
	}
	acl := must[container.GetAccessPolicyResponse](t)(c.GetAccessPolicy(ctx, nil))
	if len(acl.SignedIdentifiers) != 1 || *acl.SignedIdentifiers[0].ID != "policy" || *acl.SignedIdentifiers[0].AccessPolicy.Permission != "rl" {
		t.Errorf("policies: %+v", acl.SignedIdentifiers)
	}
	e.container(t, "other")
	var names []string
	for pager := e.client.NewListContainersPager(&service.ListContainersOptions{MaxResults: to.Ptr(int32(1)), Include: service.ListContainersInclude{Metadata: true}}); pager.More(); {
		page := must[azblob.ListContainersResponse](t)(pager.NextPage(ctx))
		for _, c := range page.ContainerItems {
			names = append(names, *c.Name+fmt.Sprint(len(c.Metadata)))
		}
	}
	if !slices.Equal(names, []string{"other0", "videos1"}) {
		t.Errorf("listed %v", names)
	}
	info := must[service.GetAccountInfoResponse](t)(e.service().GetAccountInfo(ctx, nil))
	if *info.AccountKind != service.AccountKindStorageV2 {
		t.Errorf("account info: %+v", info)
	}
	must[service.GetPropertiesResponse](t)(e.service().GetProperties(ctx, nil))
	if _, err := c.Delete(ctx, nil); err != nil {
		t.Fatal(err)
	}
	_, err = c.Delete(ctx, nil)
	wantCode(t, "delete again", err, 404, "ContainerNotFound")
}

func TestBlobs(t *testing.T) {
	e := serve(t)
	c := e.container(t, "videos")
	bb := c.NewBlockBlobClient("in put.mp4")
	data := random(100_000)
	up := must[blockblob.UploadResponse](t)(bb.Upload(ctx, body(data), &blockblob.UploadOptions{
		HTTPHeaders: &blob.HTTPHeaders{BlobContentType: to.Ptr("video/mp4"), BlobCacheControl: to.Ptr("max-age=5"), BlobContentLanguage: to.Ptr("de")},
		Metadata:    map[string]*string{"camelKey": to.Ptr("v")},
	}))
	if len(up.ContentMD5) != 16 || up.ETag == nil || up.RequestID == nil {
		t.Errorf("upload: %+v", up)
	}
	p := must[blob.GetPropertiesResponse](t)(bb.GetProperties(ctx, nil))
	if *p.ContentLength != 100_000 || *p.ContentType != "video/mp4" || *p.CacheControl != "max-age=5" || *p.Metadata["Camelkey"] != "v" ||
		!bytes.Equal(p.ContentMD5, up.ContentMD5) || *p.ETag != *up.ETag || *p.BlobType != blob.BlobTypeBlockBlob || p.CreationTime == nil {
		t.Errorf("properties: %+v", p)
	}
	got := must[[]byte](t)(download(bb.BlobClient(), nil))
	if !bytes.Equal(got, data) {
		t.Error("other bytes came back")
	}
	got = must[[]byte](t)(download(bb.BlobClient(), &blob.DownloadStreamOptions{Range: blob.HTTPRange{Offset: 99_000, Count: 5000}}))
	if !bytes.Equal(got, data[99_000:]) {
		t.Error("a range over the end")
	}
	_, err := download(bb.BlobClient(), &blob.DownloadStreamOptions{Range: blob.HTTPRange{Offset: 100_000}})
	wantCode(t, "a range at the end", err, 416, "InvalidRange")
	sum := must[blob.DownloadStreamResponse](t)(bb.DownloadStream(ctx, &blob.DownloadStreamOptions{Range: blob.HTTPRange{Count: 10}, RangeGetContentMD5: to.Ptr(true)}))
	sum.Body.Close()
	if len(sum.ContentMD5) != 16 || bytes.Equal(sum.ContentMD5, up.ContentMD5) || !bytes.Equal(sum.BlobContentMD5, up.ContentMD5) {
		t.Errorf("MD5 of a range: %x, of the blob %x", sum.ContentMD5, sum.BlobContentMD5)
	}
	// Conditions.
	none := &blob.AccessConditions{ModifiedAccessConditions: &blob.ModifiedAccessConditions{IfNoneMatch: to.Ptr(azcore.ETagAny)}}
	_, err = bb.Upload(ctx, body(data), &blockblob.UploadOptions{AccessConditions: none})
	wantCode(t, "create only", err, 409, "BlobAlreadyExists")
	stale := &blob.AccessConditions{ModifiedAccessConditions: &blob.ModifiedAccessConditions{IfMatch: to.Ptr(azcore.ETag(`"0x1"`))}}
	_, err = download(bb.BlobClient(), &blob.DownloadStreamOptions{AccessConditions: stale})
	wantCode(t, "if-match", err, 412, "ConditionNotMet")
	same := &blob.AccessConditions{ModifiedAccessConditions: &blob.ModifiedAccessConditions{IfNoneMatch: up.ETag}}
	_, err = bb.GetProperties(ctx, &blob.GetPropertiesOptions{AccessConditions: same})
	wantCode(t, "not modified", err, 304, "ConditionNotMet")
	_, err = bb.Delete(ctx, &blob.DeleteOptions{AccessConditions: stale})
	wantCode(t, "delete if-match", err, 412, "ConditionNotMet")
	// Changes in place.
	if _, err := bb.SetHTTPHeaders(ctx, blob.HTTPHeaders{BlobContentType: to.Ptr("text/plain")}, nil); err != nil {
		t.Error(err)
	}
	if _, err := bb.SetMetadata(ctx, map[string]*string{"x": to.Ptr("y")}, nil); err != nil {
		t.Error(err)
	}
	if _, err := bb.SetTier(ctx, blob.AccessTierCool, nil); err != nil {
		t.Error(err)
	}
	p = must[blob.GetPropertiesResponse](t)(bb.GetProperties(ctx, nil))
	if *p.ContentType != "text/plain" || p.CacheControl != nil || p.ContentMD5 != nil || len(p.Metadata) != 1 || *p.AccessTier != "Cool" {
		t.Errorf("after changes: %+v", p)
	}
	// Sums.
	_, err = bb.Upload(ctx, body(data), &blockblob.UploadOptions{TransactionalValidation: blob.TransferValidationTypeMD5(make([]byte, 16))})
	wantCode(t, "wrong MD5", err, 400, "Md5Mismatch")
	_, err = bb.Upload(ctx, body(data), &blockblob.UploadOptions{TransactionalValidation: blob.TransferValidationTypeCRC64(1)})
	wantCode(t, "wrong CRC64", err, 400, "Crc64Mismatch")
	if _, err = bb.Upload(ctx, body(data), &blockblob.UploadOptions{TransactionalValidation: blob.TransferValidationTypeComputeCRC64()}); err != nil {
		t.Error(err)
	}
	structured := blob.TransferValidationTypeComputeStructuredMessageCRC64(30_000)
	if _, err = bb.Upload(ctx, body(data), &blockblob.UploadOptions{TransactionalValidation: structured}); err != nil {
		t.Error(err)
	}
	got = must[[]byte](t)(download(bb.BlobClient(), &blob.DownloadStreamOptions{TransactionalValidation: structured, Range: blob.HTTPRange{Offset: 7}}))
	if !bytes.Equal(got, data[7:]) {
		t.Error("other bytes came back in a structured message")
	}
	// Refusals.
	_, err = c.NewPageBlobClient("page").Create(ctx, 512, nil)
	wantCode(t, "page blob", err, 400, "InvalidHeaderValue")
	_, err = c.NewAppendBlobClient("append").Create(ctx, nil)
	wantCode(t, "append blob", err, 400, "InvalidHeaderValue")
	if _, err := bb.Delete(ctx, nil); err != nil {
		t.Fatal(err)
	}
	_, err = bb.GetProperties(ctx, nil)
	wantCode(t, "after delete", err, 404, "BlobNotFound")
	_, err = e.service().NewContainerClient("absent").NewBlockBlobClient("b").Upload(ctx, body(data), nil)
	wantCode(t, "absent container", err, 404, "ContainerNotFound")
}

func download(b *blob.Client, o *blob.DownloadStreamOptions) ([]byte, error) {
	r, err := b.DownloadStream(ctx, o)
	if err != nil {
		return nil, err
	}
	defer r.Body.Close()
	return io.ReadAll(r.Body)
}

func TestBlocks(t *testing.T) {
	e := serve(t)
	c := e.container(t, "videos")
	bb := c.NewBlockBlobClient("big.mp4")
	data := random(5_000_000)
	if _, err := bb.UploadStream(ctx, bytes.NewReader(data), &blockblob.UploadStreamOptions{BlockSize: 1 << 20, Concurrency: 8, Metadata: map[string]*string{"m": to.Ptr("1")}}); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(data))
	if _, err := bb.DownloadBuffer(ctx, got, &blob.DownloadBufferOptions{BlockSize: 700_000}); err != nil || !bytes.Equal(got, data) {
		t.Errorf("in pieces, other bytes came back: %v", err)
	}
	list := must[blockblob.GetBlockListResponse](t)(bb.GetBlockList(ctx, blockblob.BlockListTypeAll, nil))
	if len(list.CommittedBlocks) != 5 || len(list.UncommittedBlocks) != 0 || *list.BlobContentLength != 5_000_000 || *list.CommittedBlocks[0].Size != 1<<20 {
		t.Errorf("block list: %d committed, %d staged, %d bytes", len(list.CommittedBlocks), len(list.UncommittedBlocks), *list.BlobContentLength)
	}
	r, err := e.store.OpenLocal(ctx, account, "videos", "big.mp4")
	if err != nil {
		t.Fatal(err)
	}
	path, _ := r.LocalPath()
	r.Close()
	if want := filepath.Join(e.dir, "blobs", account, "videos", "big.mp4"); path != want {
		t.Errorf("the joined file is %s, want %s", path, want)
	}
	if file := must[[]byte](t)(os.ReadFile(path)); !bytes.Equal(file, data) {
		t.Error("the joined file differs")
	}
	if blocks := files(t, filepath.Join(e.dir, "blobs", ".blocks")); len(blocks) != 0 {
		t.Errorf("after the join %d blocks are left", len(blocks))
	}
	if _, err := bb.DownloadBuffer(ctx, got, nil); err != nil || !bytes.Equal(got, data) {
		t.Errorf("joined, other bytes came back: %v", err)
	}
	// The rules.
	_, err = bb.StageBlock(ctx, "AAAA", body([]byte("x")), nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = bb.StageBlock(ctx, "AAAAAAAA", body([]byte("x")), nil)
	wantCode(t, "another length", err, 400, "InvalidBlobOrBlock")
	_, err = bb.StageBlock(ctx, "!", body([]byte("x")), nil)
	wantCode(t, "no base64", err, 400, "InvalidQueryParameterValue")
	_, err = bb.StageBlock(ctx, "BBBB", body(nil), nil)
	wantCode(t, "no bytes", err, 400, "InvalidHeaderValue")
	_, err = bb.CommitBlockList(ctx, []string{"AAAA", "CCCC"}, nil)
	wantCode(t, "a block that is not there", err, 400, "InvalidBlockList")
	list = must[blockblob.GetBlockListResponse](t)(bb.GetBlockList(ctx, blockblob.BlockListTypeUncommitted, nil))
	if len(list.UncommittedBlocks) != 1 {
		t.Errorf("staged: %v", list.UncommittedBlocks)
	}
	only := c.NewBlockBlobClient("staged only")
	only.StageBlock(ctx, "AAAA", body([]byte("x")), nil)
	_, err = only.GetProperties(ctx, nil)
	wantCode(t, "staged blocks alone", err, 404, "BlobNotFound")
	var names []string
	for pager := c.NewListBlobsFlatPager(&container.ListBlobsFlatOptions{Include: container.ListBlobsInclude{UncommittedBlobs: true, Metadata: true}}); pager.More(); {
		for _, b := range must[container.ListBlobsFlatResponse](t)(pager.NextPage(ctx)).Segment.BlobItems {
			names = append(names, *b.Name+fmt.Sprint(len(b.Metadata)))
		}
	}
	if !slices.Equal(names, []string{"big.mp41", "staged only0"}) {
		t.Errorf("listed %v", names)
	}
	none := &blob.AccessConditions{ModifiedAccessConditions: &blob.ModifiedAccessConditions{IfNoneMatch: to.Ptr(azcore.ETagAny)}}
	_, err = bb.CommitBlockList(ctx, []string{"AAAA"}, &blockblob.CommitBlockListOptions{AccessConditions: none})
	wantCode(t, "create only", err, 409, "BlobAlreadyExists")
}

// files lists the regular files under dir.
func files(t testing.TB, dir string) (list []string) {
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			list = append(list, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestNames(t *testing.T) {
	e := serve(t)
	c := e.container(t, "names")
	var want []string
	for _, name := range blobtest.Strange {
		if strings.Contains(name, "\\") {
			continue // the SDK's to decide
		}
		if _, err := c.NewBlockBlobClient(name).Upload(ctx, body([]byte(name)), nil); err != nil {
			t.Errorf("upload %q: %v", name, err)
			continue
		}
		if got, err := download(c.NewBlobClient(name), nil); err != nil || string(got) != name {
			t.Errorf("%q holds %q, %v", name, got, err)
		}
		want = append(want, name)
	}
	slices.Sort(want)
	var got []string
	for pager := c.NewListBlobsFlatPager(&container.ListBlobsFlatOptions{MaxResults: to.Ptr(int32(7))}); pager.More(); {
		for _, b := range must[container.ListBlobsFlatResponse](t)(pager.NextPage(ctx)).Segment.BlobItems {
			got = append(got, *b.Name)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("listed %d %.500q, want %d", len(got), got, len(want))
	}
	for _, f := range files(t, e.dir) {
		if rel, err := filepath.Rel(e.dir, f); err != nil || !strings.HasPrefix(rel, "openams.db") && !strings.HasPrefix(rel, filepath.Join("blobs", account, "names")+"/") {
			t.Errorf("a blob is at %s", f)
		}
	}
	h := c.NewListBlobsHierarchyPager("/", &container.ListBlobsHierarchyOptions{Prefix: to.Ptr("a/")})
	page := must[container.ListBlobsHierarchyResponse](t)(h.NextPage(ctx))
	if len(page.Segment.BlobItems) != 2 || len(page.Segment.BlobPrefixes) != 3 { // a/b a/. and a/b/ a// a/../
		t.Errorf("%d blobs and %d prefixes under a/", len(page.Segment.BlobItems), len(page.Segment.BlobPrefixes))
	}
}

func TestSignedURLs(t *testing.T) {
	e := serve(t)
	c := e.container(t, "videos")
	data := random(1000)
	c.NewBlockBlobClient("f").Upload(ctx, body(data), nil)
	soon := time.Now().Add(time.Hour)
	open := func(url string) *container.Client {
		return must[*container.Client](t)(container.NewClientWithNoCredential(url, &container.ClientOptions{ClientOptions: once}))
	}
	all := sas.ContainerPermissions{Read: true, Write: true, List: true, Delete: true}
	signed := open(must[string](t)(c.GetSASURL(all, soon, nil)))
	if _, err := signed.NewBlockBlobClient("new").Upload(ctx, body(data), nil); err != nil {
		t.Error(err)
	}
	if got, err := download(signed.NewBlobClient("f"), nil); err != nil || !bytes.Equal(got, data) {
		t.Error(err)
	}
	if _, err := signed.NewBlobClient("new").Delete(ctx, nil); err != nil {
		t.Error(err)
	}
	must[container.ListBlobsFlatResponse](t)(signed.NewListBlobsFlatPager(nil).NextPage(ctx))
	_, err := signed.Delete(ctx, nil)
	wantCode(t, "container delete by service SAS", err, 403, "AuthorizationPermissionMismatch")

	read := open(must[string](t)(c.GetSASURL(sas.ContainerPermissions{Read: true}, soon, nil)))
	_, err = read.NewBlockBlobClient("f").Upload(ctx, body(data), nil)
	wantCode(t, "write by a reader", err, 403, "AuthorizationPermissionMismatch")
	_, err = read.NewListBlobsFlatPager(nil).NextPage(ctx)
	wantCode(t, "list by a reader", err, 403, "AuthorizationPermissionMismatch")

	create := open(must[string](t)(c.GetSASURL(sas.ContainerPermissions{Create: true}, soon, nil)))
	_, err = create.NewBlockBlobClient("f").Upload(ctx, body(data), nil)
	wantCode(t, "overwrite by a creator", err, 403, "UnauthorizedBlobOverwrite")
	if _, err := create.NewBlockBlobClient("created").Upload(ctx, body(data), nil); err != nil {
		t.Error(err)
	}
	past := open(must[string](t)(c.GetSASURL(all, time.Now().Add(-time.Minute), nil)))
	_, err = past.NewListBlobsFlatPager(nil).NextPage(ctx)
	wantCode(t, "expired", err, 403, "AuthenticationFailed")

	// A blob's signature opens that blob alone, whatever stands in the path.
	url := must[string](t)(c.NewBlobClient("f").GetSASURL(sas.BlobPermissions{Read: true}, soon, nil))
	one := must[*blob.Client](t)(blob.NewClientWithNoCredential(url, &blob.ClientOptions{ClientOptions: once}))
	if _, err := download(one, nil); err != nil {
		t.Error(err)
	}
	other := must[*blob.Client](t)(blob.NewClientWithNoCredential(strings.Replace(url, "/f?", "/created?", 1), &blob.ClientOptions{ClientOptions: once}))
	_, err = download(other, nil)
	wantCode(t, "another blob", err, 403, "AuthenticationFailed")

	// The account's signature, by the second key.
	second := newClient(t, e.url, credential(t, key2)).ServiceClient()
	url = must[string](t)(second.GetSASURL(sas.AccountResourceTypes{Container: true, Object: true}, sas.AccountPermissions{Read: true, List: true, Create: true}, soon, nil))
	acct := must[*service.Client](t)(service.NewClientWithNoCredential(url, &service.ClientOptions{ClientOptions: once}))
	if _, err := acct.NewContainerClient("made-by-sas").Create(ctx, nil); err != nil {
		t.Error(err)
	}
	_, err = acct.NewContainerClient("made-by-sas").Delete(ctx, nil)
	wantCode(t, "delete", err, 403, "AuthorizationPermissionMismatch")
	_, err = acct.NewListContainersPager(nil).NextPage(ctx)
	wantCode(t, "resource type", err, 403, "AuthorizationResourceTypeMismatch")

	// A stored policy: changing it acts at once.
	expiry, perm := time.Now().Add(time.Hour).UTC(), "r"
	policies := func(list ...*container.SignedIdentifier) {
		if _, err := c.SetAccessPolicy(ctx, &container.SetAccessPolicyOptions{ContainerACL: list}); err != nil {
			t.Fatal(err)
		}
	}
	policies(&container.SignedIdentifier{ID: to.Ptr("pol"), AccessPolicy: &container.AccessPolicy{Expiry: &expiry, Permission: &perm}})
	q := must[sas.QueryParameters](t)(sas.BlobSignatureValues{ContainerName: "videos", Identifier: "pol"}.SignWithSharedKey(e.cred))
	stored := open(e.url + "/videos?" + q.Encode())
	if _, err := download(stored.NewBlobClient("f"), nil); err != nil {
		t.Error(err)
	}
	policies()
	_, err = download(stored.NewBlobClient("f"), nil)
	wantCode(t, "policy gone", err, 403, "AuthenticationFailed")
}

// Go's client signs a host name's path-style address as if host-style.
func TestLocalhostSignature(t *testing.T) {
	e := serve(t)
	e.container(t, "videos").NewBlockBlobClient("f").Upload(ctx, body([]byte("x")), nil)
	local := newClient(t, strings.Replace(e.url, "127.0.0.1", "localhost", 1), e.cred)
	c := local.ServiceClient().NewContainerClient("videos")
	if got, err := download(c.NewBlobClient("f"), nil); err != nil || string(got) != "x" {
		t.Errorf("by key: %q, %v", got, err)
	}
	soon := time.Now().Add(time.Hour)
	url := must[string](t)(c.NewBlobClient("f").GetSASURL(sas.BlobPermissions{Read: true}, soon, nil))
	if r := must[*http.Response](t)(http.Get(url)); r.StatusCode != 200 {
		t.Errorf("signed blob: %s", r.Status)
	}
	// It signs a container's address without the container: never accepted.
	url = must[string](t)(c.GetSASURL(sas.ContainerPermissions{Read: true}, soon, nil))
	if r := must[*http.Response](t)(http.Get(strings.Replace(url, "/videos?", "/videos/f?", 1))); r.StatusCode != 403 {
		t.Errorf("signed container: %s", r.Status)
	}
}

func TestCreateOnlyRace(t *testing.T) {
	e := serve(t)
	c := e.container(t, "race")
	none := &blob.AccessConditions{ModifiedAccessConditions: &blob.ModifiedAccessConditions{IfNoneMatch: to.Ptr(azcore.ETagAny)}}
	var mu sync.Mutex
	var wg sync.WaitGroup
	won := 0
	for i := range 24 {
		wg.Go(func() {
			_, err := c.NewBlockBlobClient("one").Upload(ctx, body(random(1000+i)), &blockblob.UploadOptions{AccessConditions: none})
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				won++
			} else {
				wantCode(t, "loser", err, 409, "BlobAlreadyExists")
			}
		})
	}
	if wg.Wait(); won != 1 {
		t.Errorf("%d writers won", won)
	}
}

func TestBatch(t *testing.T) {
	e := serve(t)
	c := e.container(t, "videos")
	for _, name := range []string{"a", "dir/b ü", "c", "d"} {
		if _, err := c.NewBlockBlobClient(name).Upload(ctx, body([]byte("x")), nil); err != nil {
			t.Fatal(err)
		}
	}
	bb := must[*container.BatchBuilder](t)(c.NewBatchBuilder())
	for _, name := range []string{"a", "absent", "dir/b ü"} {
		if err := bb.Delete(name, nil); err != nil {
			t.Fatal(err)
		}
	}
	r := must[container.SubmitBatchResponse](t)(c.SubmitBatch(ctx, bb, nil))
	if len(r.Responses) != 3 || r.Responses[0].Error != nil || r.Responses[2].Error != nil || *r.Responses[2].ContentID != 2 {
		t.Fatalf("%+v", r.Responses)
	}
	wantCode(t, "an absent blob", r.Responses[1].Error, 404, "BlobNotFound")
	// By a signature that lets set tiers and not delete; of several containers.
	signed := must[*container.Client](t)(container.NewClientWithNoCredential(e.server.URL+"/"+account+"/videos?"+full("videos"), nil))
	bb = must[*container.BatchBuilder](t)(signed.NewBatchBuilder())
	if err := bb.SetTier("c", blob.AccessTierCool, nil); err != nil {
		t.Fatal(err)
	}
	if r := must[container.SubmitBatchResponse](t)(signed.SubmitBatch(ctx, bb, nil)); len(r.Responses) != 1 || r.Responses[0].Error != nil {
		t.Fatalf("%+v", r.Responses)
	}
	if p := must[blob.GetPropertiesResponse](t)(c.NewBlobClient("c").GetProperties(ctx, nil)); *p.AccessTier != "Cool" {
		t.Errorf("the tier is %s", *p.AccessTier)
	}
	if got := listed(t, c); !slices.Equal(got, []string{"c", "d"}) {
		t.Errorf("left are %v", got)
	}
	batch := "/" + account + "/?comp=batch&" + full("videos")
	part := func(lines string) string {
		return "--x\r\nContent-Type: application/http\r\nContent-ID: 7\r\n\r\n" + lines + "\r\n\r\n"
	}
	del := part("DELETE /" + account + "/videos/d HTTP/1.1")
	multipart := []string{"Content-Type", "multipart/mixed; boundary=x"}
	in := "/" + account + "/videos?restype=container&comp=batch&" + full("videos")
	wantStatus(t, "a stranger", e.send(t, "POST", "/"+account+"/videos?restype=container&comp=batch", del+"--x--", multipart...), 401, "NoAuthenticationInformation")
	wantStatus(t, "a service's batch by a container's signature", e.send(t, "POST", batch, del+"--x--", multipart...), 403, "AuthorizationResourceTypeMismatch")
	for what, text := range map[string]string{"no parts": "--x--", "no end": del, "no request": part("hello") + "--x--", "many": strings.Repeat(del, 257) + "--x--"} {
		if r := e.send(t, "POST", in, text, multipart...); r.StatusCode != 400 {
			t.Errorf("%s: %s", what, r.Status)
		}
	}
	wantStatus(t, "no multipart", e.send(t, "POST", in, del, "Content-Type", "text/plain"), 400, "InvalidHeaderValue")
	// A part's own rights count: the batch's signature opens nothing in it.
	for what, tt := range map[string][2]string{
		"unsigned": {"DELETE /" + account + "/videos/d HTTP/1.1", "401"}, "not a deletion": {"PUT /" + account + "/videos/d?" + full("videos") + " HTTP/1.1", "400"},
		"a container": {"DELETE /" + account + "/videos?restype=container&" + full("videos") + " HTTP/1.1", "400"},
		"elsewhere":   {"DELETE /" + account + "/other/d?" + full("other") + " HTTP/1.1", "400"},
		"a batch":     {"POST " + in + " HTTP/1.1", "400"},
	} {
		r := e.send(t, "POST", in, part(tt[0])+"--x--", multipart...)
		if got := text(t, r); r.StatusCode != 202 || !strings.Contains(got, "\r\n\r\nHTTP/1.1 "+tt[1]+" ") || !strings.Contains(got, "Content-ID: 7\r\n") {
			t.Errorf("%s: %s %q", what, r.Status, got)
		}
	}
	if got := listed(t, c); !slices.Equal(got, []string{"c", "d"}) {
		t.Errorf("left are %v", got)
	}
}

func listed(t *testing.T, c *container.Client) (names []string) {
	t.Helper()
	for pager := c.NewListBlobsFlatPager(nil); pager.More(); {
		for _, b := range must[container.ListBlobsFlatResponse](t)(pager.NextPage(ctx)).Segment.BlobItems {
			names = append(names, *b.Name)
		}
	}
	return names
}
