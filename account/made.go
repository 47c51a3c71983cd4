package account

import (
	"context"
	"errors"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/blob"
	"github.com/openams/openams/catalog"
)

// Metadata of an output blob: the task and the attempt that made it. Names of
// outputs hold the bitrate reached, which differs a little from attempt to
// attempt, so what an earlier attempt has left is known by these.
const (
	MadeByTask    = "openams_task"
	MadeByAttempt = "openams_attempt"
	MadeEarly     = "openams_early" // "true": to be played while the task is at work, and no longer
)

// DeleteMade deletes the blobs of the asset that a task has made and which takes,
// nil for all of them, and their AssetFiles. It deletes nothing that was written
// over in the meantime. An asset without its container has none.
func (a *Account) DeleteMade(ctx context.Context, asset *ams.Asset, task string, which func(*ams.Blob) bool) error {
	blobs := a.s.ClearBlobs()
	for b, err := range blobs.All(ctx, asset.StorageAccount, asset.Container, "") {
		if errors.Is(err, ams.ErrContainerNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		if b.Metadata[MadeByTask] != task || which != nil && !which(b) {
			continue
		}
		err := blobs.Delete(ctx, asset.StorageAccount, asset.Container, b.Name, blob.Conditions{IfMatch: []string{b.ETag}})
		if ams.CodeOf(err) == ams.Precondition && err != nil {
			continue
		}
		if err != nil && !errors.Is(err, ams.ErrBlobNotFound) {
			return err
		}
		if err := a.ForgetFile(ctx, asset, b.Name); err != nil {
			return err
		}
	}
	return nil
}

// deleteLitter deletes what a task has left that did not end well: the output
// assets of a v2 task that failed, unless the client wants them, and otherwise the
// files that its worker, killed or lost, could not delete itself.
func (a *Account) deleteLitter(ctx context.Context, r *catalog.TaskRecord) error {
	names := []string{r.Asset}
	for _, o := range r.Outputs {
		if o.Asset != r.Asset {
			names = append(names, o.Asset)
		}
	}
	whole := r.State == ams.Failed && r.Spec != nil && !r.Spec.Has(ams.DoNotDeleteOutputAssetOnFailure)
	for _, name := range names {
		if whole {
			if _, err := a.DeleteAsset(ctx, name); err != nil && ams.CodeOf(err) == ams.Internal { // else it is in use
				return err
			}
			continue
		}
		asset, err := a.Asset(ctx, name)
		if ams.CodeOf(err) == ams.NotFound {
			continue
		}
		if err == nil {
			err = a.DeleteMade(ctx, asset, r.ID, nil)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
