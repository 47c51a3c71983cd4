package restv3

import (
	"net/http"
	"net/url"

	"github.com/openams/openams/account"
	"github.com/openams/openams/ams"
	"github.com/openams/openams/restv3/arm"
)

type trackProperties struct {
	Track             *trackBase `json:"track"`
	ProvisioningState string     `json:"provisioningState"`
}

// trackBase is a track of any kind, both ways.
type trackBase struct {
	Type         string           `json:"@odata.type"`
	FileName     *string          `json:"fileName,omitempty"`
	DisplayName  *string          `json:"displayName,omitempty"`
	LanguageCode *string          `json:"languageCode,omitempty"`
	Visibility   *string          `json:"playerVisibility,omitempty"`
	HLS          *ams.HLSSettings `json:"hlsSettings,omitempty"`
	DASH         *dashSettings    `json:"dashSettings,omitempty"`
	MPEG4TrackID *int64           `json:"mpeg4TrackId,omitempty"`
}

type dashSettings struct {
	Role *string `json:"role,omitempty"`
}

func trackBody(acc *account.Account, t *ams.Track, op *ams.Operation) *arm.Resource {
	said := func(s string) *string {
		if s == "" {
			return nil
		}
		return &s
	}
	b := &trackBase{
		Type: discriminator + string(t.Kind), FileName: said(t.FileName), DisplayName: said(t.DisplayName),
		LanguageCode: said(t.Language), Visibility: said(t.Visibility), HLS: t.HLS, MPEG4TrackID: t.MPEG4TrackID,
	}
	if t.DASHRole != nil {
		b.DASH = &dashSettings{said(*t.DASHRole)}
	}
	p := trackProperties{b, arm.Succeeded}
	if t.Deleting || op != nil && op.Status == ams.OperationInProgress {
		p.ProvisioningState = arm.InProgress
	}
	res := entity(acc, noun{"/assets/" + t.Asset + "/tracks/", "/assets/tracks"}, t.Name, p, stamps{})
	res.SystemData = nil // tracks have none
	return res
}

// trackWrite is the body of a PUT or PATCH.
type trackWrite struct {
	Properties struct {
		Track *trackBase `json:"track"`
	} `json:"properties"`
}

// apply writes what the body gives into t.
func (b *trackWrite) apply(t *ams.Track) error {
	in := b.Properties.Track
	if in == nil {
		return nil
	}
	t.Kind = ams.TrackKind(typeName(in.Type))
	for _, m := range []struct {
		to   *string
		from *string
	}{{&t.FileName, in.FileName}, {&t.DisplayName, in.DisplayName}, {&t.Language, in.LanguageCode}, {&t.Visibility, in.Visibility}} {
		if m.from != nil {
			*m.to = *m.from
		}
	}
	if in.HLS != nil {
		t.HLS = in.HLS
	}
	if in.DASH != nil {
		t.DASHRole = new(string)
		if in.DASH.Role != nil {
			t.DASHRole = in.DASH.Role
		}
	}
	if in.MPEG4TrackID != nil {
		t.MPEG4TrackID = in.MPEG4TrackID
	}
	return nil
}

func putTrack(acc *account.Account, w http.ResponseWriter, r *http.Request) error {
	var body trackWrite
	if err := readModel(r, "AssetTrack", &body); err != nil {
		return err
	}
	t := ams.Track{Name: r.PathValue("trackName")}
	if err := body.apply(&t); err != nil {
		return err
	}
	made, op, isNew, err := acc.CreateOrUpdateTrack(r.Context(), r.PathValue("assetName"), t)
	if err != nil {
		return err
	}
	trackOperation(acc, op, r).SetHeaders(w.Header(), r)
	return created(w, r, isNew, trackBody(acc, made, op))
}

func patchTrack(acc *account.Account, w http.ResponseWriter, r *http.Request) error {
	var body trackWrite
	if err := readPatch(r, "AssetTrack", &body); err != nil {
		return err
	}
	t, op, err := acc.UpdateTrack(r.Context(), r.PathValue("assetName"), r.PathValue("trackName"), body.apply)
	if err != nil {
		return err
	}
	trackOperation(acc, op, r).SetHeaders(w.Header(), r)
	return arm.WriteResource(w, r, http.StatusAccepted, trackBody(acc, t, op))
}

func deleteTrack(acc *account.Account, w http.ResponseWriter, r *http.Request) error {
	op, err := acc.DeleteTrack(r.Context(), r.PathValue("assetName"), r.PathValue("trackName"))
	if err != nil {
		return err
	}
	if op == nil {
		return arm.WriteEmpty(w, http.StatusNoContent)
	}
	trackOperation(acc, op, r).SetHeaders(w.Header(), r)
	return arm.WriteEmpty(w, http.StatusAccepted)
}

func updateTrackData(acc *account.Account, w http.ResponseWriter, r *http.Request) error {
	op, err := acc.UpdateTrackData(r.Context(), r.PathValue("assetName"), r.PathValue("trackName"))
	if err != nil {
		return err
	}
	trackOperation(acc, op, r).SetHeaders(w.Header(), r)
	return arm.WriteEmpty(w, http.StatusAccepted)
}

func getTrack(acc *account.Account, w http.ResponseWriter, r *http.Request) error {
	t, err := acc.Track(r.Context(), r.PathValue("assetName"), r.PathValue("trackName"))
	if err != nil {
		return err
	}
	return arm.WriteResource(w, r, http.StatusOK, trackBody(acc, t, nil))
}

// listTracks lists all tracks at once: this list has no pages.
func listTracks(acc *account.Account, w http.ResponseWriter, r *http.Request) error {
	ts, err := acc.Tracks(r.Context(), r.PathValue("assetName"))
	if err != nil {
		return err
	}
	out := make([]*arm.Resource, len(ts))
	for i, t := range ts {
		out[i] = trackBody(acc, t, nil)
	}
	return arm.WriteResources(w, r, out, "")
}

// trackOperation is where clients poll an operation of the path's track.
func trackOperation(acc *account.Account, op *ams.Operation, r *http.Request) arm.Operation {
	track := idOf(acc) + "/assets/" + url.PathEscape(r.PathValue("assetName")) + "/tracks/" + url.PathEscape(r.PathValue("trackName"))
	query := "?api-version=" + url.QueryEscape(arm.Version(r))
	return arm.Operation{
		Status:   track + "/operationStatuses/" + op.ID + query,
		Location: track + "/operationResults/" + op.ID + query,
	}
}

func getTrackOperation(acc *account.Account, w http.ResponseWriter, r *http.Request) error {
	op, err := acc.Operation(r.Context(), account.TrackOperations, r.PathValue("operationId"))
	if err != nil {
		return err
	}
	id := idOf(acc) + "/assets/" + r.PathValue("assetName") + "/tracks/" + r.PathValue("trackName") + "/operationStatuses/" + op.ID
	return writeOperation(w, op, id)
}

// writeOperation answers a poll in the form of tracks and accounts.
func writeOperation(w http.ResponseWriter, op *ams.Operation, id string) error {
	s := &arm.OperationStatus{ID: id, Name: op.ID, Status: string(op.Status), StartTime: &op.Created}
	if op.Status != ams.OperationInProgress {
		s.EndTime = &op.Ended
	}
	if op.Status == ams.OperationFailed {
		s.Error = &arm.Detail{Code: op.Code, Message: op.Message}
	}
	return arm.WriteOperation(w, s)
}

// getTrackResult is 202 until the operation ends, then the track, or 204 when
// it was deleted.
func getTrackResult(acc *account.Account, w http.ResponseWriter, r *http.Request) error {
	op, err := acc.Operation(r.Context(), account.TrackOperations, r.PathValue("operationId"))
	if err != nil {
		return err
	}
	if op.Status == ams.OperationInProgress {
		trackOperation(acc, op, r).SetHeaders(w.Header(), r)
		return arm.WriteEmpty(w, http.StatusAccepted)
	}
	if op.Goal == ams.OperationDeletes {
		return arm.WriteEmpty(w, http.StatusNoContent)
	}
	return getTrack(acc, w, r)
}
