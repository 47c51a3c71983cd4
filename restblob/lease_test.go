package restblob_test

import (
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/lease"
)

const (
	guid1 = "11111111-1111-4111-8111-111111111111"
	guid2 = "22222222-2222-4222-8222-222222222222"
)

// Each write of a leased blob needs the lease's id.
func TestLeasedBlob(t *testing.T) {
	e := serve(t)
	c := e.container(t, "videos")
	bb := c.NewBlockBlobClient("f")
	if _, err := bb.Upload(ctx, body([]byte("one")), nil); err != nil {
		t.Fatal(err)
	}
	l := must[*lease.BlobClient](t)(lease.NewBlobClient(bb, &lease.BlobClientOptions{LeaseID: to.Ptr(guid1)}))
	if _, err := l.AcquireLease(ctx, 15, nil); err != nil {
		t.Fatal(err)
	}
	p := must[blob.GetPropertiesResponse](t)(bb.GetProperties(ctx, nil))
	if *p.LeaseState != lease.StateTypeLeased || *p.LeaseStatus != lease.StatusTypeLocked || *p.LeaseDuration != lease.DurationTypeFixed {
		t.Errorf("leased: %v %v %v", *p.LeaseState, *p.LeaseStatus, *p.LeaseDuration)
	}
	with := func(id string) *blob.AccessConditions {
		if id == "" {
			return nil
		}
		return &blob.AccessConditions{LeaseAccessConditions: &blob.LeaseAccessConditions{LeaseID: to.Ptr(id)}}
	}
	lac := func(id string) *blob.LeaseAccessConditions {
		if id == "" {
			return nil
		}
		return &blob.LeaseAccessConditions{LeaseID: to.Ptr(id)}
	}
	writes := map[string]func(id string) error{
		"put": func(id string) error {
			_, err := bb.Upload(ctx, body([]byte("two")), &blockblob.UploadOptions{AccessConditions: with(id)})
			return err
		},
		"stage": func(id string) error {
			_, err := bb.StageBlock(ctx, "AAAA", body([]byte("x")), &blockblob.StageBlockOptions{LeaseAccessConditions: lac(id)})
			return err
		},
		"commit": func(id string) error {
			_, err := bb.CommitBlockList(ctx, nil, &blockblob.CommitBlockListOptions{AccessConditions: with(id)})
			return err
		},
		"metadata": func(id string) error {
			_, err := bb.SetMetadata(ctx, map[string]*string{"k": to.Ptr("v")}, &blob.SetMetadataOptions{AccessConditions: with(id)})
			return err
		},
		"properties": func(id string) error {
			_, err := bb.SetHTTPHeaders(ctx, blob.HTTPHeaders{}, &blob.SetHTTPHeadersOptions{AccessConditions: with(id)})
			return err
		},
		"copy": func(id string) error {
			_, err := bb.StartCopyFromURL(ctx, e.url+"/videos/source", &blob.StartCopyFromURLOptions{AccessConditions: with(id)})
			return err
		},
		"tier": func(id string) error {
			_, err := bb.SetTier(ctx, blob.AccessTierCool, &blob.SetTierOptions{AccessConditions: with(id)})
			return err
		},
		"tags": func(id string) error {
			_, err := bb.SetTags(ctx, map[string]string{"k": "v"}, &blob.SetTagsOptions{AccessConditions: with(id)})
			return err
		},
		"from URL": func(id string) error {
			_, err := bb.UploadBlobFromURL(ctx, e.url+"/videos/source", &blockblob.UploadBlobFromURLOptions{AccessConditions: with(id)})
			return err
		},
	}
	if _, err := c.NewBlockBlobClient("source").Upload(ctx, body([]byte("s")), nil); err != nil {
		t.Fatal(err)
	}
	for what, write := range writes {
		wantCode(t, what+" without the lease", write(""), 412, "LeaseIdMissing")
		wantCode(t, what+" with another lease", write(guid2), 412, "LeaseIdMismatchWithBlobOperation")
		if err := write(guid1); err != nil {
			t.Errorf("%s by the holder: %v", what, err)
		}
	}
	_, err := bb.Delete(ctx, nil)
	wantCode(t, "delete", err, 412, "LeaseIdMissing")
	// A write by the holder keeps the lease; a reader needs none.
	if _, err := download(bb.BlobClient(), nil); err != nil {
		t.Error(err)
	}
	_, err = download(bb.BlobClient(), &blob.DownloadStreamOptions{AccessConditions: with(guid2)})
	wantCode(t, "read with another lease", err, 412, "LeaseIdMismatchWithBlobOperation")
	// After its time, nobody holds it, and a write forgets it.
	e.clock.Store(int64(16 * time.Second))
	wantCode(t, "put with a lost lease", writes["put"](guid1), 412, "LeaseLost")
	if err := writes["put"](""); err != nil {
		t.Error(err)
	}
	_, err = l.RenewLease(ctx, nil)
	wantCode(t, "renew after a write", err, 409, "LeaseIdMismatchWithLeaseOperation")
	wantCode(t, "put with no lease there", writes["put"](guid1), 412, "LeaseNotPresentWithBlobOperation")
}

// The table of documented transitions.
func TestLeaseStates(t *testing.T) {
	e := serve(t)
	c := e.container(t, "videos")
	path := "/" + account + "/videos/f?comp=lease&" + full("videos")
	for _, tt := range []struct {
		what   string
		steps  []string // action, or "+seconds"
		status int
		code   string
		state  string
	}{
		{"again by the holder", []string{"acquire 1 15", "acquire 1 60"}, 201, "", "leased"},
		{"by another", []string{"acquire 1 15", "acquire 2 15"}, 409, "LeaseAlreadyPresent", "leased"},
		{"expired", []string{"acquire 1 15", "+16", "acquire 2 15"}, 201, "", "leased"},
		{"without end", []string{"acquire 1 -1", "+100000", "acquire 2 15"}, 409, "LeaseAlreadyPresent", "leased"},
		{"renew expired", []string{"acquire 1 15", "+16", "renew 1"}, 200, "", "leased"},
		{"renew another's", []string{"acquire 1 15", "renew 2"}, 409, "LeaseIdMismatchWithLeaseOperation", "leased"},
		{"renew none", []string{"renew 1"}, 409, "LeaseIdMismatchWithLeaseOperation", "available"},
		{"renew broken", []string{"acquire 1 15", "break 0", "renew 1"}, 409, "LeaseIsBrokenAndCannotBeRenewed", "broken"},
		{"change", []string{"acquire 1 15", "change 1 2", "renew 2"}, 200, "", "leased"},
		{"change twice", []string{"acquire 1 15", "change 1 2", "change 1 2"}, 200, "", "leased"},
		{"change none", []string{"change 1 2"}, 409, "LeaseNotPresentWithLeaseOperation", "available"},
		{"change breaking", []string{"acquire 1 60", "break 30", "change 1 2"}, 409, "LeaseIsBreakingAndCannotBeChanged", "breaking"},
		{"acquire breaking", []string{"acquire 1 60", "break 30", "acquire 1 15"}, 409, "LeaseIsBreakingAndCannotBeAcquired", "breaking"},
		{"broken in time", []string{"acquire 1 60", "break 30", "+31", "acquire 2 15"}, 201, "", "leased"},
		{"break what is left", []string{"acquire 1 15", "break 60", "+16"}, 202, "", "broken"},
		{"break without end", []string{"acquire 1 -1", "break"}, 202, "", "broken"},
		{"break none", []string{"break"}, 409, "LeaseNotPresentWithLeaseOperation", "available"},
		{"release", []string{"acquire 1 -1", "release 1"}, 200, "", "available"},
		{"release broken", []string{"acquire 1 -1", "break 0", "release 1"}, 200, "", "available"},
		{"release another's", []string{"acquire 1 -1", "release 2"}, 409, "LeaseIdMismatchWithLeaseOperation", "leased"},
	} {
		t.Run(tt.what, func(t *testing.T) {
			e.clock.Store(0)
			e.store.Delete(ctx, account, "videos", "f", leaseHolder(guid1))
			e.store.Delete(ctx, account, "videos", "f", leaseHolder(guid2))
			e.store.Delete(ctx, account, "videos", "f", leaseHolder(""))
			if _, err := c.NewBlockBlobClient("f").Upload(ctx, body([]byte("x")), nil); err != nil {
				t.Fatal(err)
			}
			var status int
			var code string
			for _, step := range tt.steps {
				if wait, ok := waiting(step); ok {
					e.clock.Add(int64(wait))
					continue
				}
				r := e.send(t, "PUT", path, "", leaseHeaders(step)...)
				status, code = r.StatusCode, r.Header.Get("x-ms-error-code")
			}
			if status != tt.status || code != tt.code {
				t.Errorf("%d %s, want %d %s", status, code, tt.status, tt.code)
			}
			if got := e.send(t, "HEAD", "/"+account+"/videos/f?"+full("videos"), "").Header.Get("x-ms-lease-state"); got != tt.state {
				t.Errorf("it is %s, want %s", got, tt.state)
			}
		})
	}
}

func TestLeasedContainer(t *testing.T) {
	e := serve(t)
	c := e.container(t, "videos")
	l := must[*lease.ContainerClient](t)(lease.NewContainerClient(c, &lease.ContainerClientOptions{LeaseID: to.Ptr(guid1)}))
	if _, err := l.AcquireLease(ctx, -1, nil); err != nil {
		t.Fatal(err)
	}
	_, err := c.Delete(ctx, nil)
	wantCode(t, "delete", err, 412, "LeaseIdMissing")
	other := &container.LeaseAccessConditions{LeaseID: to.Ptr(guid2)}
	_, err = c.Delete(ctx, &container.DeleteOptions{AccessConditions: &container.AccessConditions{LeaseAccessConditions: other}})
	wantCode(t, "delete by another", err, 412, "LeaseIdMismatchWithContainerOperation")
	// Its blobs are free.
	if _, err := c.NewBlockBlobClient("f").Upload(ctx, body([]byte("x")), nil); err != nil {
		t.Error(err)
	}
	p := must[container.GetPropertiesResponse](t)(c.GetProperties(ctx, nil))
	if *p.LeaseState != lease.StateTypeLeased || *p.LeaseDuration != lease.DurationTypeInfinite {
		t.Errorf("leased: %v %v", *p.LeaseState, *p.LeaseDuration)
	}
	if _, err := l.ReleaseLease(ctx, nil); err != nil {
		t.Fatal(err)
	}
	_, err = c.SetMetadata(ctx, &container.SetMetadataOptions{Metadata: map[string]*string{}})
	if err != nil {
		t.Error(err)
	}
	if _, err := c.Delete(ctx, nil); err != nil {
		t.Error(err)
	}
}
