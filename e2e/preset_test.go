package e2e

import (
	"context"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	media "github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/mediaservices/armmediaservices/v3"
)

// TestCustomPreset encodes with a StandardEncoderPreset written with the
// official SDK, as its samples do: two H.264 layers, AAC, thumbnails.
func TestCustomPreset(t *testing.T) {
	t.Parallel()
	s := start(t, "")
	c := newSDK(t, s, s.ClientID, s.ClientSecret)
	c.createAsset(t, "in")
	c.createAsset(t, "out")
	c.upload(t, "in", clip(t, "custom.mp4"))
	layer := func(bitrate int32, width, height, label string) *media.H264Layer {
		return &media.H264Layer{Bitrate: to.Ptr(bitrate), Width: to.Ptr(width), Height: to.Ptr(height), Label: to.Ptr(label)}
	}
	_, err := c.transforms.CreateOrUpdate(context.Background(), s.ResourceGroup, s.AccountName, "custom", media.Transform{Properties: &media.TransformProperties{
		Outputs: []*media.TransformOutput{{Preset: &media.StandardEncoderPreset{
			ODataType: to.Ptr("#Microsoft.Media.StandardEncoderPreset"),
			Codecs: []media.CodecClassification{
				&media.AacAudio{ODataType: to.Ptr("#Microsoft.Media.AacAudio"), Channels: to.Ptr[int32](2), SamplingRate: to.Ptr[int32](48000), Bitrate: to.Ptr[int32](128000)},
				&media.H264Video{ODataType: to.Ptr("#Microsoft.Media.H264Video"), KeyFrameInterval: to.Ptr("PT2S"),
					Layers: []*media.H264Layer{layer(800000, "640", "360", "HD"), layer(300000, "320", "180", "SD")}},
				&media.JpgImage{ODataType: to.Ptr("#Microsoft.Media.JpgImage"), Start: to.Ptr("25%"), Step: to.Ptr("25%"), Range: to.Ptr("80%"),
					Layers: []*media.JpgLayer{{Width: to.Ptr("50%"), Height: to.Ptr("50%")}}},
			},
			Formats: []media.FormatClassification{
				&media.Mp4Format{ODataType: to.Ptr("#Microsoft.Media.Mp4Format"), FilenamePattern: to.Ptr("Video-{Basename}-{Label}-{Bitrate}{Extension}")},
				&media.JpgFormat{ODataType: to.Ptr("#Microsoft.Media.JpgFormat"), FilenamePattern: to.Ptr("Thumbnail-{Basename}-{Index}{Extension}")},
			},
		}}},
	}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	c.submit(t, "custom", "j", "in", "out")
	job := c.await(t, "custom", "j", 3*time.Minute)
	if *job.Properties.State != media.JobStateFinished {
		e := job.Properties.Outputs[0].GetJobOutput().Error
		t.Fatalf("job ended %s: %s %s", *job.Properties.State, *e.Code, *e.Message)
	}
	names := c.blobs(t, "out")
	for _, want := range []string{`^Video-custom-HD-\d+\.mp4$`, `^Video-custom-SD-\d+\.mp4$`, `^Thumbnail-custom-000001\.jpg$`, `^custom\.ism$`} {
		if !slices.ContainsFunc(names, regexp.MustCompile(want).MatchString) {
			t.Errorf("no file %s among %q", want, names)
		}
	}
	paths := c.publish(t, "l", "out", "Predefined_ClearStreamingOnly")
	for _, protocol := range []string{"Hls", "Dash"} {
		if got := packets(t, s.StreamingEndpoint+paths[protocol][0]); strings.Count(got, "h264,350") != 4 { // ffprobe lists a stream under its program and by itself
			t.Errorf("%s: %s, want two renditions of 350 pictures", protocol, got)
		}
	}
}
