package ams

import "strings"

// A Processor is a media processor of v2: what a task is done by.
type Processor struct {
	ID      string // guid: the v2 Id is "nb:mpid:UUID:" + ID
	Name    string
	Version string
}

// The names of the processors of AMS.
const (
	MediaEncoderStandard = "Media Encoder Standard"
	AzureMediaEncoder    = "Azure Media Encoder"
	WindowsMediaEncoder  = "Windows Azure Media Encoder"
	PremiumWorkflow      = "Media Encoder Premium Workflow"
	MediaPackager        = "Windows Azure Media Packager"
	MediaEncryptor       = "Windows Azure Media Encryptor"
	StorageDecryption    = "Storage Decryption"
	MediaIndexer         = "Azure Media Indexer"
	MediaIndexer2        = "Azure Media Indexer 2 Preview"
	FaceDetector         = "Azure Media Face Detector"
	Redactor             = "Azure Media Redactor"
	MotionDetector       = "Azure Media Motion Detector"
	Hyperlapse           = "Azure Media Hyperlapse"
	Stabilizer           = "Azure Media Stabilizer"
	VideoThumbnails      = "Azure Media Video Thumbnails"
	OCR                  = "Azure Media OCR"
	ContentModerator     = "Azure Media Content Moderator"
)

// Processors are those of AMS: ids and names as documented or seen in its
// clients, versions other than of Media Encoder Standard and Azure Media
// Encoder inferred. SDKs take the highest version of a name. Not all of them
// run here: a job that needs another is refused when it is submitted.
var Processors = []Processor{
	{"ff4df607-d419-42f0-bc17-a481b1331e56", MediaEncoderStandard, "1.1"},
	{"1b1da727-93ae-4e46-a8a1-268828765609", AzureMediaEncoder, "4.4"},
	{"2e7aa8f3-4961-4e0c-b4db-0e0439e524f5", AzureMediaEncoder, "3.7"},
	{"70bdc2c3-ebf4-42a9-8542-5afc1e55d217", WindowsMediaEncoder, "2.3"},
	{"77fea72a-107c-439e-b0bb-f88153b93461", PremiumWorkflow, "1.0"},
	{"a2f9afe9-7146-4882-a5f7-da4a85e06a93", MediaPackager, "2.8"},
	{"38a620d8-b8dc-4e39-bb2e-7d589587232b", MediaEncryptor, "2.8"},
	{"aec03716-7c5e-4f68-b592-f4850eba9f10", StorageDecryption, "1.7"},
	{"233e57fc-36bb-4f6f-8f18-3b662747a9f8", MediaIndexer, "1.0"},
	{"1927f26d-0aa5-4ca1-95a3-1a3f95b0f706", MediaIndexer2, "1.0"},
	{"6a9b8239-81ea-4762-8125-66b4f45737a2", FaceDetector, "1.0"},
	{"3806d7a6-4985-4437-b098-50e3733310e8", Redactor, "1.0"},
	{"464c4ede-daad-4edd-9c3c-3b5f667eef08", MotionDetector, "1.0"},
	{"db657ff0-fc6e-407c-a03a-80fdca3b81cd", Hyperlapse, "1.0"},
	{"73845a7d-8505-421d-9af9-d4bdc7838bdf", Stabilizer, "1.0"},
	{"d4d94427-b8e7-44b5-addb-5f3a26124385", VideoThumbnails, "1.0"},
	{"074c3899-d9fb-448f-9ae1-4ebcbe633056", OCR, "1.0"},
	{"bb312589-3bd4-4f2e-af26-2df8a984b395", ContentModerator, "1.0"},
}

// ProcessorByID finds a processor by its guid.
func ProcessorByID(id string) (Processor, bool) {
	for _, p := range Processors {
		if strings.EqualFold(p.ID, id) {
			return p, true
		}
	}
	return Processor{}, false
}

// Makes reports whether p makes files that fit an asset of the options. Encrypted
// streams are made by the Encryptor and, as HLS, by the Packager alone.
func (p Processor) Makes(o AssetOptions) bool {
	switch o {
	case CommonEncryptionProtected, EnvelopeEncryptionProtected:
		return p.Name == MediaEncryptor || p.Name == MediaPackager
	}
	return true
}
