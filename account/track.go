package account

import (
	"context"
	"io"
	"path"
	"strings"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/catalog"
	"github.com/openams/openams/packager/text"
)

// Track finds a track of an asset.
func (a *Account) Track(ctx context.Context, asset, name string) (t *ams.Track, err error) {
	err = a.s.Catalog.View(ctx, func(tx *catalog.Tx) error {
		if asset, err = a.owner(tx, asset); err != nil {
			return err
		}
		t, err = tx.Track(a.ID, asset, name)
		return err
	})
	return t, err
}

// Tracks lists all tracks of an asset that clients have made.
func (a *Account) Tracks(ctx context.Context, asset string) (ts []*ams.Track, err error) {
	err = a.s.Catalog.View(ctx, func(tx *catalog.Tx) error {
		if asset, err = a.owner(tx, asset); err != nil {
			return err
		}
		ts, err = tx.Tracks(a.ID, asset)
		return err
	})
	return ts, err
}

// CreateOrUpdateTrack begins to add the track t.Name to the asset, or to
// replace its writable properties: its Kind and FileName stay. The file must be
// in the asset's container.
func (a *Account) CreateOrUpdateTrack(ctx context.Context, asset string, t ams.Track) (_ *ams.Track, op *ams.Operation, created bool, err error) {
	found, err := a.Asset(ctx, asset)
	if err != nil {
		return nil, nil, false, err
	}
	if err := checkTrack(&t); err != nil {
		return nil, nil, false, err
	}
	if err := a.checkTrackFile(ctx, found, &t); err != nil {
		return nil, nil, false, err
	}
	result := &t
	err = a.s.Catalog.Update(ctx, func(tx *catalog.Tx) error {
		if _, err := tx.Asset(a.ID, found.Name); err != nil {
			return err
		}
		old, err := tx.Track(a.ID, found.Name, t.Name)
		if err == nil {
			result = old
			op, err = a.changeTrack(ctx, tx, old, func(to *ams.Track) error {
				*to = t
				return nil
			})
			return err
		}
		if ams.CodeOf(err) != ams.NotFound {
			return err
		}
		n, err := tx.CountTracks(a.ID, found.Name)
		if err != nil {
			return err
		}
		if n >= a.s.Limits.Tracks {
			return full("tracks of an asset", a.s.Limits.Tracks)
		}
		now, by := a.s.now(), caller(ctx)
		t.Account, t.Asset, t.Created, t.LastModified, t.CreatedBy, t.LastModifiedBy = a.ID, found.Name, now, now, by, by
		created = true
		if op, err = a.begin(tx, TrackOperations, trackPath(&t), ""); err != nil {
			return err
		}
		return tx.InsertTrack(&t)
	})
	if err != nil {
		return nil, nil, false, err
	}
	a.s.endLater(ctx, op)
	return result, op, created, nil
}

func checkTrack(t *ams.Track) error {
	if err := small("properties.track", "track", t, maxTrack); err != nil {
		return err
	}
	return t.Validate()
}

// UpdateTrack begins to change a track by change.
func (a *Account) UpdateTrack(ctx context.Context, asset, name string, change func(*ams.Track) error) (t *ams.Track, op *ams.Operation, err error) {
	err = a.s.Catalog.Update(ctx, func(tx *catalog.Tx) error {
		if asset, err = a.owner(tx, asset); err != nil {
			return err
		}
		if t, err = tx.Track(a.ID, asset, name); err != nil {
			return err
		}
		op, err = a.changeTrack(ctx, tx, t, change)
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	a.s.endLater(ctx, op)
	return t, op, nil
}

func (a *Account) changeTrack(ctx context.Context, tx *catalog.Tx, t *ams.Track, change func(*ams.Track) error) (*ams.Operation, error) {
	was := *t
	if err := change(t); err != nil {
		return nil, err
	}
	const at = "properties.track"
	if t.Kind != was.Kind {
		return nil, ams.Invalidf(at+".@odata.type", "The track '%s' is a %s and can't become a %s.", was.Name, was.Kind, t.Kind)
	}
	if t.FileName != was.FileName {
		return nil, ams.Invalidf(at+".fileName", "The file of the track '%s' is '%s' and can't be changed.", was.Name, was.FileName)
	}
	t.Account, t.Asset, t.Name, t.Created, t.CreatedBy = was.Account, was.Asset, was.Name, was.Created, was.CreatedBy
	t.LastModified, t.LastModifiedBy = a.s.now(), caller(ctx)
	if err := checkTrack(t); err != nil {
		return nil, err
	}
	op, err := a.begin(tx, TrackOperations, trackPath(t), "")
	if err != nil {
		return nil, err
	}
	return op, tx.UpdateTrack(t)
}

// UpdateTrackData begins to read a track's file again, which somebody has
// replaced in the container.
func (a *Account) UpdateTrackData(ctx context.Context, asset, name string) (*ams.Operation, error) {
	found, err := a.Asset(ctx, asset)
	if err != nil {
		return nil, err
	}
	t, err := a.Track(ctx, asset, name)
	if err != nil {
		return nil, err
	}
	if err := a.checkTrackFile(ctx, found, t); err != nil {
		return nil, err
	}
	_, op, err := a.UpdateTrack(ctx, asset, name, func(*ams.Track) error { return nil })
	return op, err
}

// DeleteTrack begins to delete a track; its file stays. Without such a track
// the operation is nil.
func (a *Account) DeleteTrack(ctx context.Context, asset, name string) (op *ams.Operation, err error) {
	err = a.s.Catalog.Update(ctx, func(tx *catalog.Tx) error {
		if asset, err = a.owner(tx, asset); err != nil {
			return err
		}
		t, err := tx.Track(a.ID, asset, name)
		if err != nil {
			return err
		}
		if op, err = a.begin(tx, TrackOperations, trackPath(t), ams.OperationDeletes); err != nil {
			return err
		}
		t.Deleting = true
		return tx.UpdateTrack(t)
	})
	if existed, err := gone(err); !existed {
		return nil, err
	}
	a.s.endLater(ctx, op)
	return op, nil
}

// endTrack does what is left of an operation on a track.
func (a *Account) endTrack(tx *catalog.Tx, op *ams.Operation) error {
	if op.Goal != ams.OperationDeletes {
		return nil
	}
	asset, name := path.Split(strings.TrimPrefix(a.below(op), "/assets/"))
	return tx.DeleteTrack(a.ID, strings.TrimSuffix(asset, "/tracks/"), name)
}

// trackPath is the track's path below the account. Names have no slashes.
func trackPath(t *ams.Track) string { return "/assets/" + t.Asset + "/tracks/" + t.Name }

// checkTrackFile makes sure that the file of a track is there and, for text,
// in a form that can be streamed.
func (a *Account) checkTrackFile(ctx context.Context, asset *ams.Asset, t *ams.Track) error {
	if t.FileName == "" {
		return nil
	}
	const at = "properties.track.fileName"
	r, err := a.s.Blobs.Open(ctx, asset.StorageAccount, asset.Container, t.FileName)
	if err != nil {
		return referred(err, at, "The file '%s' is not in the container of the asset '%s'.", t.FileName, asset.Name)
	}
	defer r.Close()
	if t.Kind != ams.TextTrack {
		return nil
	}
	if r.Size() > text.MaxSize {
		return ams.Invalidf(at, "The file '%s' has %d bytes; a text track may have %d.", t.FileName, r.Size(), text.MaxSize)
	}
	data := make([]byte, r.Size())
	if _, err := r.ReadAt(data, 0); err != nil && err != io.EOF {
		return err
	}
	if _, err := text.Parse(data); err != nil {
		return ams.Invalidf(at, "The file '%s' is no captions that can be streamed: %s.", t.FileName, err)
	}
	return nil
}
