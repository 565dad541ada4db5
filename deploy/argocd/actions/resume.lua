-- What waited while the number was paused is done now.
obj.metadata.annotations = obj.metadata.annotations or {}
obj.metadata.annotations["byoc.talkifai.dev/paused"] = nil
return obj
