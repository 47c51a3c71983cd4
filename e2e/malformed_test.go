package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	media "github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/mediaservices/armmediaservices/v3"
)

// TestMalformed: every damaged sample ends a job of either API with its code and a
// sentence that names the file and the cause, and leaves no file; those that are
// only odd are encoded.
func TestMalformed(t *testing.T) {
	t.Parallel()
	dir := os.Getenv("OPENAMS_TEST_MEDIA")
	if dir == "" {
		t.Skip("OPENAMS_TEST_MEDIA does not name the folder of sample media")
	}
	s := start(t, "")
	c, v2 := newSDK(t, s, s.ClientID, s.ClientSecret), newV2(t, s)
	c.createTransform(t, "abr", media.EncoderNamedPresetAdaptiveStreaming)
	for _, tt := range []struct{ file, v3, v2, says string }{
		{"zero-bytes.mp4", "ContentMalformed", "ErrorExecutingTaskMalformedContent", `"zero-bytes.mp4" is empty: it has 0 bytes.`},
		{"text-renamed.mp4", "ContentUnsupported", "ErrorExecutingTaskUnsupportedFormat", `"text-renamed.mp4" is not a media file: it holds text.`},
		{"random-bytes.mp4", "ContentUnsupported", "ErrorExecutingTaskUnsupportedFormat", `"random-bytes.mp4" is not a media file of a known format.`},
		{"moov-missing.mp4", "ContentMalformed", "ErrorExecutingTaskMalformedContent", `"moov-missing.mp4" is an MP4 file without its index (moov box)`},
		{"truncated-faststart.mp4", "ContentMalformed", "ErrorExecutingTaskMalformedContent", `"truncated-faststart.mp4" is cut short: sample 70 of track 1 (video, at 2.76s)`},
		{"bitrot-mdat.mp4", "ContentMalformed", "ErrorExecutingTaskMalformedContent", `"bitrot-mdat.mp4": its video stream 0 (h264) cannot be decoded from second 0.0`},
		{"one-frame-16x16.mp4", "", "", ""},
		{"audio-wav-renamed.mp4", "", "", ""},
	} {
		name := strings.TrimSuffix(tt.file, ".mp4")
		path := filepath.Join(dir, "malformed", tt.file)
		c.createAsset(t, name)
		c.createAsset(t, name+"-out")
		c.upload(t, name, path)
		c.submit(t, "abr", name, name, name+"-out")

		asset := v2.upload(tt.file, path)
		job := v2.create("Jobs", fmt.Sprintf(`{"Name":%q,"InputMediaAssets":[{"__metadata":{"uri":"%sAssets('%s')"}}],"Tasks":[{
			"Configuration":"Adaptive Streaming","MediaProcessorId":"nb:mpid:UUID:ff4df607-d419-42f0-bc17-a481b1331e56",
			"TaskBody":"<?xml version=\"1.0\" encoding=\"utf-8\"?><taskBody><inputAsset>JobInputAsset(0)</inputAsset><outputAsset>JobOutputAsset(0)</outputAsset></taskBody>"}]}`,
			name, v2.V2Endpoint, asset))

		out := c.await(t, "abr", name, 2*time.Minute).Properties.Outputs[0].GetJobOutput()
		state := v2.wait(job["Id"])
		task := v2.list(keyed("Jobs", job["Id"]) + "/Tasks")[0]
		if tt.v3 == "" {
			if *out.State != media.JobStateFinished || state != `{"d":{"State":3}}` {
				t.Errorf("%s: %s, v2 %s: %v", tt.file, *out.State, state, task["ErrorDetails"])
			}
			continue
		}
		if e := out.Error; e == nil || string(*e.Code) != tt.v3 || !strings.Contains(*e.Message, tt.says) ||
			*e.Category != media.JobErrorCategoryContent || *e.Retry != media.JobRetryDoNotRetry {
			b, _ := json.Marshal(out)
			t.Errorf("%s: %s", tt.file, b)
		}
		if left := c.blobs(t, name+"-out"); len(left) > 0 {
			t.Errorf("%s: %q is left", tt.file, left)
		}
		details, _ := json.Marshal(task["ErrorDetails"])
		var list []struct{ Code, Message string }
		if err := json.Unmarshal(details, &list); err != nil || state != `{"d":{"State":4}}` || len(list) != 1 || list[0].Code != tt.v2 || !strings.Contains(list[0].Message, tt.says) {
			t.Errorf("%s: v2 state %s, %s", tt.file, state, details)
		}
	}
}
