-- The operator writes nothing to LiveKit until `resume`. Deletion still works.
obj.metadata.annotations = obj.metadata.annotations or {}
obj.metadata.annotations["byoc.talkifai.dev/paused"] = "true"
return obj
