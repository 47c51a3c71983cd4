package restv3

import (
	"net/http"

	"github.com/openams/openams/restv3/arm"
)

// operation is a row of the table: one operation of the API.
type operation struct {
	Op        string // group.name, as the SDKs call it
	Method    string
	Path      string                   // {names} are r.PathValue's
	handle    arm.Handler              // nil: not yet
	elsewhere bool                     // arm serves it
	or        func(*http.Request) bool // who else may, nil: nobody
}

const accountPath = "/subscriptions/{subscriptionId}/resourceGroups/{resourceGroupName}/providers/Microsoft.Media/mediaServices/{accountName}"

// extensions lists the operations that AMS did not have.
func (a *api) extensions() []operation {
	return []operation{
		{Op: "jobs.explain", Method: "GET", Path: accountPath + "/transforms/{transformName}/jobs/{jobName}/explanation", handle: a.in(explainJob)},
	}
}

// table lists every operation of the v3 API.
func (a *api) table() []operation {
	const account = accountPath
	return []operation{
		{Op: "accountFilters.list", Method: "GET", Path: account + "/accountFilters", handle: a.in(listFilters)},
		{Op: "accountFilters.get", Method: "GET", Path: account + "/accountFilters/{filterName}", handle: a.in(getFilter)},
		{Op: "accountFilters.createOrUpdate", Method: "PUT", Path: account + "/accountFilters/{filterName}", handle: a.in(putFilter)},
		{Op: "accountFilters.delete", Method: "DELETE", Path: account + "/accountFilters/{filterName}", handle: a.in(deleteFilter)},
		{Op: "accountFilters.update", Method: "PATCH", Path: account + "/accountFilters/{filterName}", handle: a.in(patchFilter)},

		{Op: "assetFilters.list", Method: "GET", Path: account + "/assets/{assetName}/assetFilters", handle: a.in(listFilters)},
		{Op: "assetFilters.get", Method: "GET", Path: account + "/assets/{assetName}/assetFilters/{filterName}", handle: a.in(getFilter)},
		{Op: "assetFilters.createOrUpdate", Method: "PUT", Path: account + "/assets/{assetName}/assetFilters/{filterName}", handle: a.in(putFilter)},
		{Op: "assetFilters.delete", Method: "DELETE", Path: account + "/assets/{assetName}/assetFilters/{filterName}", handle: a.in(deleteFilter)},
		{Op: "assetFilters.update", Method: "PATCH", Path: account + "/assets/{assetName}/assetFilters/{filterName}", handle: a.in(patchFilter)},

		{Op: "assets.list", Method: "GET", Path: account + "/assets", handle: a.in(listAssets)},
		{Op: "assets.get", Method: "GET", Path: account + "/assets/{assetName}", handle: a.in(getAsset)},
		{Op: "assets.createOrUpdate", Method: "PUT", Path: account + "/assets/{assetName}", handle: a.in(putAsset)},
		{Op: "assets.delete", Method: "DELETE", Path: account + "/assets/{assetName}", handle: a.in(deleteAsset)},
		{Op: "assets.update", Method: "PATCH", Path: account + "/assets/{assetName}", handle: a.in(patchAsset)},
		{Op: "assets.listContainerSas", Method: "POST", Path: account + "/assets/{assetName}/listContainerSas", handle: a.in(listContainerSas)},
		{Op: "assets.getEncryptionKey", Method: "POST", Path: account + "/assets/{assetName}/getEncryptionKey", handle: a.in(getEncryptionKey)},
		{Op: "assets.listStreamingLocators", Method: "POST", Path: account + "/assets/{assetName}/listStreamingLocators", handle: a.in(listAssetLocators)},

		{Op: "contentKeyPolicies.list", Method: "GET", Path: account + "/contentKeyPolicies", handle: a.in(listContentKeyPolicies)},
		{Op: "contentKeyPolicies.get", Method: "GET", Path: account + "/contentKeyPolicies/{contentKeyPolicyName}", handle: a.in(getContentKeyPolicy)},
		{Op: "contentKeyPolicies.createOrUpdate", Method: "PUT", Path: account + "/contentKeyPolicies/{contentKeyPolicyName}", handle: a.in(putContentKeyPolicy)},
		{Op: "contentKeyPolicies.delete", Method: "DELETE", Path: account + "/contentKeyPolicies/{contentKeyPolicyName}", handle: a.in(deleteContentKeyPolicy)},
		{Op: "contentKeyPolicies.update", Method: "PATCH", Path: account + "/contentKeyPolicies/{contentKeyPolicyName}", handle: a.in(patchContentKeyPolicy)},
		{Op: "contentKeyPolicies.getPolicyPropertiesWithSecrets", Method: "POST", Path: account + "/contentKeyPolicies/{contentKeyPolicyName}/getPolicyPropertiesWithSecrets", handle: a.in(getContentKeyPolicySecrets)},

		{Op: "jobs.list", Method: "GET", Path: account + "/transforms/{transformName}/jobs", handle: a.in(listJobs)},
		{Op: "jobs.get", Method: "GET", Path: account + "/transforms/{transformName}/jobs/{jobName}", handle: a.in(getJob)},
		{Op: "jobs.create", Method: "PUT", Path: account + "/transforms/{transformName}/jobs/{jobName}", handle: a.in(putJob)},
		{Op: "jobs.delete", Method: "DELETE", Path: account + "/transforms/{transformName}/jobs/{jobName}", handle: a.in(deleteJob)},
		{Op: "jobs.update", Method: "PATCH", Path: account + "/transforms/{transformName}/jobs/{jobName}", handle: a.in(patchJob)},
		{Op: "jobs.cancelJob", Method: "POST", Path: account + "/transforms/{transformName}/jobs/{jobName}/cancelJob", handle: a.in(cancelJob)},

		{Op: "liveEvents.list", Method: "GET", Path: account + "/liveEvents"},
		{Op: "liveEvents.get", Method: "GET", Path: account + "/liveEvents/{liveEventName}"},
		{Op: "liveEvents.create", Method: "PUT", Path: account + "/liveEvents/{liveEventName}"},
		{Op: "liveEvents.update", Method: "PATCH", Path: account + "/liveEvents/{liveEventName}"},
		{Op: "liveEvents.delete", Method: "DELETE", Path: account + "/liveEvents/{liveEventName}"},
		{Op: "liveEvents.allocate", Method: "POST", Path: account + "/liveEvents/{liveEventName}/allocate"},
		{Op: "liveEvents.start", Method: "POST", Path: account + "/liveEvents/{liveEventName}/start"},
		{Op: "liveEvents.stop", Method: "POST", Path: account + "/liveEvents/{liveEventName}/stop"},
		{Op: "liveEvents.reset", Method: "POST", Path: account + "/liveEvents/{liveEventName}/reset"},
		{Op: "liveEvents.asyncOperation", Method: "GET", Path: account + "/liveEventOperations/{operationId}"},
		{Op: "liveEvents.operationLocation", Method: "GET", Path: account + "/liveEvents/{liveEventName}/operationLocations/{operationId}"},

		{Op: "liveOutputs.list", Method: "GET", Path: account + "/liveEvents/{liveEventName}/liveOutputs"},
		{Op: "liveOutputs.get", Method: "GET", Path: account + "/liveEvents/{liveEventName}/liveOutputs/{liveOutputName}"},
		{Op: "liveOutputs.create", Method: "PUT", Path: account + "/liveEvents/{liveEventName}/liveOutputs/{liveOutputName}"},
		{Op: "liveOutputs.delete", Method: "DELETE", Path: account + "/liveEvents/{liveEventName}/liveOutputs/{liveOutputName}"},
		{Op: "liveOutputs.asyncOperation", Method: "GET", Path: account + "/liveOutputOperations/{operationId}"},
		{Op: "liveOutputs.operationLocation", Method: "GET", Path: account + "/liveEvents/{liveEventName}/liveOutputs/{liveOutputName}/operationLocations/{operationId}"},

		{Op: "locations.checkNameAvailability", Method: "POST", Path: "/subscriptions/{subscriptionId}/providers/Microsoft.Media/locations/{locationName}/checkNameAvailability", handle: a.checkNameAvailability},

		{Op: "mediaServicesOperationResults.get", Method: "GET", Path: "/subscriptions/{subscriptionId}/providers/Microsoft.Media/locations/{locationName}/mediaServicesOperationResults/{operationId}", handle: a.getMediaServiceResult, or: a.ownsOperation},

		{Op: "mediaServicesOperationStatuses.get", Method: "GET", Path: "/subscriptions/{subscriptionId}/providers/Microsoft.Media/locations/{locationName}/mediaServicesOperationStatuses/{operationId}", handle: a.getMediaServiceOperation, or: a.ownsOperation},

		{Op: "mediaservices.list", Method: "GET", Path: "/subscriptions/{subscriptionId}/resourceGroups/{resourceGroupName}/providers/Microsoft.Media/mediaservices", handle: a.listMediaServices},
		{Op: "mediaservices.get", Method: "GET", Path: account, handle: a.in(a.getMediaService)},
		{Op: "mediaservices.createOrUpdate", Method: "PUT", Path: account, handle: a.putMediaService},
		{Op: "mediaservices.delete", Method: "DELETE", Path: account, handle: a.deleteMediaService},
		{Op: "mediaservices.update", Method: "PATCH", Path: account, handle: a.in(patchMediaService)},
		{Op: "mediaservices.syncStorageKeys", Method: "POST", Path: account + "/syncStorageKeys", handle: a.in(syncStorageKeys)},
		{Op: "mediaservices.listEdgePolicies", Method: "POST", Path: account + "/listEdgePolicies", handle: a.in(listEdgePolicies)},
		{Op: "mediaservices.listBySubscription", Method: "GET", Path: "/subscriptions/{subscriptionId}/providers/Microsoft.Media/mediaservices", handle: a.listMediaServices},

		{Op: "operationResults.get", Method: "GET", Path: account + "/assets/{assetName}/tracks/{trackName}/operationResults/{operationId}", handle: a.in(getTrackResult)},

		{Op: "operationStatuses.get", Method: "GET", Path: account + "/assets/{assetName}/tracks/{trackName}/operationStatuses/{operationId}", handle: a.in(getTrackOperation)},

		{Op: "operations.list", Method: "GET", Path: "/providers/Microsoft.Media/operations", elsewhere: true},

		{Op: "privateEndpointConnections.list", Method: "GET", Path: account + "/privateEndpointConnections", handle: a.in(listPrivateLinks)},
		{Op: "privateEndpointConnections.get", Method: "GET", Path: account + "/privateEndpointConnections/{name}", handle: a.in(getPrivateLink)},
		{Op: "privateEndpointConnections.createOrUpdate", Method: "PUT", Path: account + "/privateEndpointConnections/{name}", handle: a.in(putPrivateLink)},
		{Op: "privateEndpointConnections.delete", Method: "DELETE", Path: account + "/privateEndpointConnections/{name}", handle: a.in(deletePrivateLink)},

		{Op: "privateLinkResources.list", Method: "GET", Path: account + "/privateLinkResources", handle: a.in(listPrivateLinkResources)},
		{Op: "privateLinkResources.get", Method: "GET", Path: account + "/privateLinkResources/{name}", handle: a.in(getPrivateLinkResource)},

		{Op: "streamingEndpoints.list", Method: "GET", Path: account + "/streamingEndpoints", handle: a.in(listEndpoints)},
		{Op: "streamingEndpoints.get", Method: "GET", Path: account + "/streamingEndpoints/{streamingEndpointName}", handle: a.in(getEndpoint)},
		{Op: "streamingEndpoints.create", Method: "PUT", Path: account + "/streamingEndpoints/{streamingEndpointName}", handle: a.in(putEndpoint)},
		{Op: "streamingEndpoints.update", Method: "PATCH", Path: account + "/streamingEndpoints/{streamingEndpointName}", handle: a.in(patchEndpoint)},
		{Op: "streamingEndpoints.delete", Method: "DELETE", Path: account + "/streamingEndpoints/{streamingEndpointName}", handle: a.in(deleteEndpoint)},
		{Op: "streamingEndpoints.skus", Method: "GET", Path: account + "/streamingEndpoints/{streamingEndpointName}/skus", handle: a.in(a.listEndpointSKUs)},
		{Op: "streamingEndpoints.start", Method: "POST", Path: account + "/streamingEndpoints/{streamingEndpointName}/start", handle: a.in(startEndpoint)},
		{Op: "streamingEndpoints.stop", Method: "POST", Path: account + "/streamingEndpoints/{streamingEndpointName}/stop", handle: a.in(stopEndpoint)},
		{Op: "streamingEndpoints.scale", Method: "POST", Path: account + "/streamingEndpoints/{streamingEndpointName}/scale", handle: a.in(scaleEndpoint)},
		{Op: "streamingEndpoints.asyncOperation", Method: "GET", Path: account + "/streamingEndpointOperations/{operationId}", handle: a.in(getEndpointOperation)},
		{Op: "streamingEndpoints.operationLocation", Method: "GET", Path: account + "/streamingEndpoints/{streamingEndpointName}/operationLocations/{operationId}", handle: a.in(getEndpointResult)},

		{Op: "streamingLocators.list", Method: "GET", Path: account + "/streamingLocators", handle: a.in(listLocators)},
		{Op: "streamingLocators.get", Method: "GET", Path: account + "/streamingLocators/{streamingLocatorName}", handle: a.in(getLocator)},
		{Op: "streamingLocators.create", Method: "PUT", Path: account + "/streamingLocators/{streamingLocatorName}", handle: a.in(putLocator)},
		{Op: "streamingLocators.delete", Method: "DELETE", Path: account + "/streamingLocators/{streamingLocatorName}", handle: a.in(deleteLocator)},
		{Op: "streamingLocators.listContentKeys", Method: "POST", Path: account + "/streamingLocators/{streamingLocatorName}/listContentKeys", handle: a.in(listContentKeys)},
		{Op: "streamingLocators.listPaths", Method: "POST", Path: account + "/streamingLocators/{streamingLocatorName}/listPaths", handle: a.in(listPaths)},

		{Op: "streamingPolicies.list", Method: "GET", Path: account + "/streamingPolicies", handle: a.in(listPolicies)},
		{Op: "streamingPolicies.get", Method: "GET", Path: account + "/streamingPolicies/{streamingPolicyName}", handle: a.in(getPolicy)},
		{Op: "streamingPolicies.create", Method: "PUT", Path: account + "/streamingPolicies/{streamingPolicyName}", handle: a.in(putPolicy)},
		{Op: "streamingPolicies.delete", Method: "DELETE", Path: account + "/streamingPolicies/{streamingPolicyName}", handle: a.in(deletePolicy)},

		{Op: "tracks.list", Method: "GET", Path: account + "/assets/{assetName}/tracks", handle: a.in(listTracks)},
		{Op: "tracks.get", Method: "GET", Path: account + "/assets/{assetName}/tracks/{trackName}", handle: a.in(getTrack)},
		{Op: "tracks.createOrUpdate", Method: "PUT", Path: account + "/assets/{assetName}/tracks/{trackName}", handle: a.in(putTrack)},
		{Op: "tracks.delete", Method: "DELETE", Path: account + "/assets/{assetName}/tracks/{trackName}", handle: a.in(deleteTrack)},
		{Op: "tracks.update", Method: "PATCH", Path: account + "/assets/{assetName}/tracks/{trackName}", handle: a.in(patchTrack)},
		{Op: "tracks.updateTrackData", Method: "POST", Path: account + "/assets/{assetName}/tracks/{trackName}/updateTrackData", handle: a.in(updateTrackData)},

		{Op: "transforms.list", Method: "GET", Path: account + "/transforms", handle: a.in(listTransforms)},
		{Op: "transforms.get", Method: "GET", Path: account + "/transforms/{transformName}", handle: a.in(getTransform)},
		{Op: "transforms.createOrUpdate", Method: "PUT", Path: account + "/transforms/{transformName}", handle: a.in(putTransform)},
		{Op: "transforms.delete", Method: "DELETE", Path: account + "/transforms/{transformName}", handle: a.in(deleteTransform)},
		{Op: "transforms.update", Method: "PATCH", Path: account + "/transforms/{transformName}", handle: a.in(patchTransform)},
	}
}
