package catalog

import "github.com/openams/openams/ams"

var tracks = table[ams.Track]{
	name: "tracks", what: "track",
	columns: []column[ams.Track]{
		{name: "account", at: func(t *ams.Track) any { return &t.Account }},
		{name: "asset", at: func(t *ams.Track) any { return &t.Asset }},
		{name: "asset_key", at: func(t *ams.Track) any { return fold(t.Asset) }, derived: true},
		{name: "name", at: func(t *ams.Track) any { return &t.Name }},
		{name: "name_key", at: func(t *ams.Track) any { return fold(t.Name) }, derived: true},
		{name: "kind", at: func(t *ams.Track) any { return &t.Kind }},
		{name: "created", at: func(t *ams.Track) any { return &t.Created }},
		{name: "last_modified", at: func(t *ams.Track) any { return &t.LastModified }},
	},
	rest: func(t *ams.Track) map[string]any {
		return map[string]any{
			"fileName": &t.FileName, "displayName": &t.DisplayName, "language": &t.Language,
			"visibility": &t.Visibility, "hls": &t.HLS, "dashRole": &t.DASHRole, "mpeg4TrackId": &t.MPEG4TrackID,
			"deleting": &t.Deleting, "createdBy": &t.CreatedBy, "lastModifiedBy": &t.LastModifiedBy,
		}
	},
	fields: map[string]field{
		"name": {column: "name_key", kind: folded, ops: all, order: true},
	},
}

// Track finds a track of an asset.
func (tx *Tx) Track(account, asset, name string) (*ams.Track, error) {
	return tracks.one(tx, oneOfAsset, account, fold(asset), fold(name))
}

// Tracks are the tracks of an asset, by name.
func (tx *Tx) Tracks(account, asset string) ([]*ams.Track, error) {
	list, _, err := tracks.list(tx, Query{Whole: true}, "account = ? AND asset_key = ?", account, fold(asset))
	return list, err
}

// CountTracks is how many tracks an asset has.
func (tx *Tx) CountTracks(account, asset string) (int, error) {
	return tracks.count(tx, "account = ? AND asset_key = ?", account, fold(asset))
}

// InsertTrack adds a track; a taken name is Exists.
func (tx *Tx) InsertTrack(t *ams.Track) error {
	_, err := tracks.insert(tx, t)
	return err
}

// UpdateTrack rewrites the track of that account, asset and name.
func (tx *Tx) UpdateTrack(t *ams.Track) error {
	return tracks.update(tx, t, oneOfAsset, t.Account, fold(t.Asset), fold(t.Name))
}

// DeleteTrack deletes a track.
func (tx *Tx) DeleteTrack(account, asset, name string) error {
	return tracks.deleteOne(tx, oneOfAsset, account, fold(asset), fold(name))
}
